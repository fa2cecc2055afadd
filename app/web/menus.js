// Gradio's menus stay open when they are left with Tab, and then nothing closes them: they are closed before.

document.addEventListener(
  'keydown',
  (e) => {
    if (e.key !== 'Tab' || !(e.target instanceof HTMLInputElement) || !e.target.matches('[role=combobox]')) return;
    e.target.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', code: 'Escape', bubbles: true }));
    e.stopImmediatePropagation(); // of Gradio's own doing; the focus still moves on
  },
  true,
);

// The session's results, newest first. They live in this browser tab and nowhere else.
const KEEP = 16, LARGEST = 5e6;

function mountRecent(element) {
  const strip = element.querySelector('.strip'), drop = element.querySelector('.drop'), input = drop.querySelector('input');

  document.addEventListener('nar-finished', ({ detail: { run, mode } }) => {
    const known = [...strip.querySelectorAll('button')].find((b) => b.dataset.run === run.id);
    if (known) return;
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.run = run.id;
    button.innerHTML = '<img alt=""><span></span>';
    button.querySelector('img').src = run.pictures[0];
    button.querySelector('span').textContent = run.title;
    button.onclick = () => {
      document.dispatchEvent(new CustomEvent('nar-page', { detail: mode }));
      document.dispatchEvent(new CustomEvent('nar-open', { detail: { run, mode } }));
      mark(run.id);
    };
    strip.prepend(button);
    while (strip.querySelectorAll('button').length > KEEP) strip.querySelectorAll('button')[KEEP].remove();
    mark(run.id);
  });
  const mark = (id) => strip.querySelectorAll('button').forEach((b) => b.classList.toggle('on', b.dataset.run === id));

  const read = (file) => {
    if (!file) return;
    if (file.size > LARGEST) {
      const text = drop.childNodes[1], words = text.textContent;
      text.textContent = 'Over 5 MB, cannot be';
      setTimeout(() => { text.textContent = words; }, 2500);
      return;
    }
    const reader = new FileReader();
    reader.onload = () => {
      document.dispatchEvent(new CustomEvent('nar-page', { detail: 'image' }));
      document.dispatchEvent(new CustomEvent('nar-file', { detail: { file: reader.result, mode: 'image' } }));
    };
    reader.readAsDataURL(file);
  };
  input.addEventListener('change', () => { read(input.files[0]); input.value = ''; });
  drop.addEventListener('keydown', (e) => { if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); input.click(); } });

  // anywhere on the page, except where a part of it takes files itself
  const own = (e) => e.target.closest?.('[data-takes-files]');
  document.addEventListener('dragover', (e) => { if ([...e.dataTransfer.types].includes('Files') && !own(e)) { e.preventDefault(); drop.classList.add('over'); } });
  document.addEventListener('dragleave', () => drop.classList.remove('over'));
  document.addEventListener('drop', (e) => { drop.classList.remove('over'); if (e.dataTransfer.files.length && !own(e)) { e.preventDefault(); read(e.dataTransfer.files[0]); } });

  // pages are ordinary tabs; other parts ask for one by its name
  document.addEventListener('nar-page', ({ detail }) => {
    const tab = document.querySelector(`#pages button[role=tab][data-tab-id="${detail}"]`);
    if (tab && !tab.classList.contains('selected')) tab.click();
  });
}

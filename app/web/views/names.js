// Names the model was trained on: some to pick from under the prompt, and a word where what is typed
// is none of them.
import { escapeText } from '../page.js';

export const Naming = {
  wireNames() {
    this.names = {};
    const list = this.studio?.querySelector('.names');
    if (!list) return;
    list.onclick = (e) => {
      const button = e.target.closest('button');
      if (button) this.pickName(button.dataset.name ?? this.someNames(1)[0]);
    };
    this.studio.addEventListener('input', (e) => { if (e.target.closest('.prompt')) this.showNames(); });
    this.studio.addEventListener('change', (e) => { if (e.target.closest('.style-choice')) this.showNames(true); });
  },

  async askNames() {                                                // once for a model, when its page is seen
    const { model } = this.spec;
    if (this.namesOf === model || !this.element.offsetParent) return;
    Object.assign(this, { namesOf: model, names: {} });
    this.showNames();
    const names = await this.server.names(model).catch(() => ({}));
    if (this.namesOf !== model) return;
    this.names = names;
    this.showNames(true);
  },

  styleNames() {                                                    // a model without styles has one list
    const style = this.studio.querySelector('.style-choice input:checked');
    return (style ? this.names[style.value] : Object.values(this.names)[0]) ?? [];
  },
  someNames(n) {
    const names = this.styleNames(), out = new Set();
    while (out.size < Math.min(n, names.length)) out.add(names[Math.floor(Math.random() * names.length)]);
    return [...out];
  },

  pickName(name) {
    const box = this.studio.querySelector('.prompt textarea');
    box.value = name;
    box.dispatchEvent(new Event('input', { bubbles: true }));
  },

  showNames(fresh) {
    const list = this.studio?.querySelector('.names');
    if (!list) return;
    const all = this.styleNames(), box = this.studio.querySelector('.prompt textarea');
    list.hidden = !all.length || !box;
    if (list.hidden) return;
    const typed = box.value.trim().toLowerCase().replace(/\s+/g, ' ');
    const known = all.some((name) => name.toLowerCase() === typed);
    if (fresh || !this.offered) this.offered = this.someNames(8);
    let found = this.offered;
    if (typed && !known) {
      found = all.filter((name) => name.toLowerCase().includes(typed)).sort((a, b) => a.toLowerCase().indexOf(typed) - b.toLowerCase().indexOf(typed) || a.length - b.length);
      if (!found.length) found = all.filter((name) => typed.split(' ').some((word) => word.length > 2 && name.toLowerCase().split(' ').includes(word)));
    }
    const words = found.slice(0, 8).map((name) => `<button type="button" data-name="${escapeText(name)}">${escapeText(name)}</button>`).join('');
    const markup = `<button type="button" class="any" aria-label="Any of the ${all.length} names it was trained on" title="Any of the ${all.length} names it was trained on">⚄</button>`
      + (words || `<span>not among its ${all.length} names</span>`);
    if (this.namesMarkup === markup) return;
    list.innerHTML = this.namesMarkup = markup;
    const below = [...list.children].filter((b) => b.offsetTop > list.firstChild.offsetTop + 4);
    below.forEach((b) => { b.hidden = true; });                     // a second row is neither seen nor reached
  },
};

// The session's results, newest first. They live in this browser tab and nowhere else.
import { handOver } from '../handover.js';

const KEEP = 16, LARGEST = 2e7;

export function mountRecent(element, tools, { examples }) {
  const strip = element.querySelector('.strip'), drop = element.querySelector('.drop'), input = drop.querySelector('input');

  const replay = (file) => {
    const isClip = file.startsWith('data:video/') && document.querySelector('#pages [data-tab-id=video]');
    const to = isClip ? 'video' : 'image';
    handOver(to, { file });
  };
  const tile = (picture, caption) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.innerHTML = '<img alt=""><span></span>';
    button.querySelector('img').src = picture;
    button.querySelector('span').textContent = caption;
    return button;
  };
  for (const { title, file } of examples) {
    const button = tile(file, title);
    button.className = 'example';
    button.setAttribute('aria-label', `Replay the example: ${title}`);
    button.title = 'Example: replays without a model';
    button.onclick = () => replay(file);
    drop.before(button);
  }

  document.addEventListener('nar-finished', ({ detail: { run, mode } }) => {
    const results = () => [...strip.querySelectorAll('button[data-run]')];
    if (results().some((b) => b.dataset.run === run.id)) return;
    const button = tile(run.pictures[0], run.title);
    button.dataset.run = run.id;
    button.onclick = () => {
      document.dispatchEvent(new CustomEvent('nar-page', { detail: mode }));
      document.dispatchEvent(new CustomEvent('nar-open', { detail: { run, mode } }));
      mark(run.id);
    };
    strip.prepend(button);
    results().slice(KEEP).forEach((b) => b.remove());
    mark(run.id);
  });
  const mark = (id) => strip.querySelectorAll('button').forEach((b) => b.classList.toggle('on', b.dataset.run === id));

  const read = (file) => {
    if (!file) return;
    if (file.size > LARGEST) {
      const text = drop.childNodes[1], words = text.textContent;
      text.textContent = 'Over 20 MB, cannot be';
      setTimeout(() => { text.textContent = words; }, 2500);
      return;
    }
    const reader = new FileReader();
    reader.onload = () => replay(reader.result);
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

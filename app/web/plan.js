// The decoding plan, for showing it before anything is computed. Same rule as nar_core.plan:
// fronts of ascending Manhattan distance from the seed position, known cells left out.
export const HEADS = [
  { name: '+w', by: [0, 0, 1], axis: 'horizontal' },
  { name: '-w', by: [0, 0, -1], axis: 'horizontal' },
  { name: '+h', by: [0, 1, 0], axis: 'vertical' },
  { name: '-h', by: [0, -1, 0], axis: 'vertical' },
  { name: '+t', by: [1, 0, 0], axis: 'temporal' },
  { name: '-t', by: [-1, 0, 0], axis: 'temporal' },
];

export const cellsOf = (grid) => grid[0] * grid[1] * grid[2];
export const flatOf = (grid, [t, h, w]) => (t * grid[1] + h) * grid[2] + w;
export const positionOf = (grid, i) => [
  Math.floor(i / (grid[1] * grid[2])), Math.floor(i / grid[2]) % grid[1], i % grid[2]];
export const framesOf = (spec, t) => spec.slice_of_frame.flatMap((slice, f) => (slice === t ? [f] : []));
export const distanceBetween = (a, b) => a.reduce((sum, x, k) => sum + Math.abs(x - b[k]), 0);

// A model that grows from the upper left only offers the upper right as the mirror image of such a growth.
// Tokens that describe the whole clip are no places in it: before the end there is nothing to see in a cell.
export const isHolistic = (spec) => spec.accepts_known === false;
const MIRRORED = { '+w': '-w', '-w': '+w' };
const isMirror = (spec, seed) => Boolean(spec.mirrors && seed.join() === [0, 0, spec.grid[2] - 1].join());

export function makePlan(spec, seed, known = null) {
  const n = cellsOf(spec.grid), distance = new Int32Array(n), fronts = new Set();
  for (let i = 0; i < n; i++) {
    distance[i] = distanceBetween(positionOf(spec.grid, i), seed);
    if (!known?.[i]) fronts.add(distance[i]);
  }
  const rank = new Map([...fronts].sort((a, b) => a - b).map((d, k) => [d, k + 1]));
  const step = Uint16Array.from(distance, (d, i) => (known?.[i] ? 0 : rank.get(d)));
  return planFromSteps(spec, seed, step, distance);
}

// A plan whose steps were read from a message or a file; step 0 means the cell was given.
export function planFromSteps(spec, seed, step, distance = null) {
  const n = step.length, total = step.reduce((a, b) => Math.max(a, b), 0);
  const counts = new Array(total + 1).fill(0), cells = Array.from({ length: total + 1 }, () => []);
  distance ??= Int32Array.from(step, (_, i) => distanceBetween(positionOf(spec.grid, i), seed));
  for (let i = 0; i < n; i++) { counts[step[i]]++; cells[step[i]].push(i); }
  const mirrored = isMirror(spec, seed), directions = mirrored ? spec.directions.map((d) => MIRRORED[d] ?? d) : spec.directions;
  return { spec, seed, step, distance, total, counts, cells, mirrored, directions };
}

// The proximity mask: a cell sees every cell of its own or a lower level.
const levelsOf = (plan) => (plan.spec.known_level === 'distance' ? plan.distance : plan.step);
export const maySee = (plan, i, other) => levelsOf(plan)[other] <= levelsOf(plan)[i];

// Does what grows beside a kept cell see it? Where kept cells are seen at their distance only, what
// grows to their left or above does not.
export function followsKept(plan) {
  const { grid } = plan.spec;
  for (let i = 0; i < plan.step.length; i++) {
    if (!plan.step[i]) continue;
    for (const head of HEADS) {
      const beside = positionOf(grid, i).map((x, k) => x - head.by[k]);
      if (beside.some((x, k) => x < 0 || x >= grid[k])) continue;
      const j = flatOf(grid, beside);
      if (!plan.step[j] && !maySee(plan, i, j)) return false;
    }
  }
  return true;
}

// The neighbours that predict cell i: those of lower level whose direction the checkpoint has.
export function sendersOf(plan, i) {
  const { spec, step, directions } = plan, at = positionOf(spec.grid, i), out = [];
  if (step[i] === 0) return out;
  const level = levelsOf(plan);
  for (const head of HEADS) {
    const from = at.map((x, k) => x - head.by[k]);
    if (!directions.includes(head.name)) continue;
    if (from.some((x, k) => x < 0 || x >= spec.grid[k])) continue;
    const j = flatOf(spec.grid, from);
    if (level[j] < level[i]) out.push({ cell: j, from, head });
  }
  return out;
}

// Can every unknown cell be reached? A seed with no sender is predicted by the condition.
export function isLegal(plan) {
  if (plan.mirrored && plan.counts[0]) return false;                // given cells are not mirrored
  if (plan.spec.seed_positions === 'corner' && plan.seed.some((x) => x > 0) && !plan.mirrored) return false;
  const seed = flatOf(plan.spec.grid, plan.seed);
  for (let i = 0; i < plan.step.length; i++) {
    if (plan.step[i] && i !== seed && !sendersOf(plan, i).length) return false;
  }
  return true;
}

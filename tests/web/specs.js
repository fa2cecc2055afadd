// Models for tests.

const all = ['+w', '-w', '+h', '-h'];

export const pictureSpec = (side, more = {}) => ({
  model: 'picture',
  grid: [1, side, side],
  size: [side * 8, side * 8],
  frames: 1,
  fps: 0,
  slice_of_frame: [0],
  directions: all,
  known_level: 'zero',
  seed_positions: 'any',
  accepts_known: true,
  seed_position: [0, side >> 1, side >> 1],
  note: '',
  upload_note: '',
  ...more,
});

/** Two frames a slice. */
export const clipSpec = (slices, side, more = {}) =>
  pictureSpec(side, {
    model: 'clip',
    grid: [slices, side, side],
    frames: 2 * slices,
    fps: 8,
    slice_of_frame: Array.from({ length: 2 * slices }, (_, f) => f >> 1),
    directions: [...all, '+t', '-t'],
    seed_position: [slices >> 1, side >> 1, side >> 1],
    ...more,
  });

export const cornerSpec = (side, more = {}) =>
  pictureSpec(side, {
    model: 'corner',
    directions: ['+w', '+h'],
    known_level: 'distance',
    seed_positions: 'corner',
    seed_position: [0, 0, 0],
    ...more,
  });

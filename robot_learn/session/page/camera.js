// Where one looks from. World: metres, z up; an azimuth of 0 looks along +x, of 90 degrees along +y.

export const RADIANS = Math.PI / 180;

/** The camera's matrix and where it stands. */
export function looking({ at, distance, azimuth, elevation, field }, aspect) {
  const a = azimuth * RADIANS, e = elevation * RADIANS, near = distance / 50, far = distance * 20;
  const ahead = [Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)];
  const right = [Math.sin(a), -Math.cos(a), 0];
  const up = [right[1] * ahead[2] - right[2] * ahead[1], right[2] * ahead[0] - right[0] * ahead[2], right[0] * ahead[1] - right[1] * ahead[0]];
  const eye = at.map((value, i) => value - distance * ahead[i]);
  // What is narrow sees as much from side to side as a square would.
  const tall = Math.tan(field * RADIANS / 2) / Math.min(1, aspect), f = 1 / tall;
  const dot = (one) => -(one[0] * eye[0] + one[1] * eye[1] + one[2] * eye[2]);
  const [dr, du, da] = [dot(right), dot(up), dot(ahead)];
  const A = (far + near) / (far - near), B = -2 * far * near / (far - near);
  const matrix = [];
  for (let i = 0; i < 3; i++) matrix.push(f / aspect * right[i], f * up[i], A * ahead[i], ahead[i]);
  matrix.push(f / aspect * dr, f * du, A * da + B, da);
  return { matrix, eye };
}

"""The model library that controllers of versions 5 to 9 hand to their clients: kinematics and dynamics as machine code.

It is C, written out with the arm's numbers in it and compiled when the first client asks. Without a C compiler clients
of these versions still connect and move, but cannot load a model (panda-python always does).
"""

from __future__ import annotations

import functools
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from robot_learn import franka as published
from robot_learn.errors import UserError
from robot_learn.franka import ArmParameters

_ARCHITECTURES = {0: ("x86_64", "AMD64"), 1: ("i386", "i686"), 2: ("armv7l",), 3: ("aarch64", "arm64")}
_LINUX = 0

# Vectors and matrices are column-major. Frames 0 to 6 are the joints', 7 the flange's, 8 the end effector's. All of the
# dynamics comes from one recursion (Luh, Walker and Paul, "On-line computational scheme for mechanical manipulators",
# 1980) in the base's axes: inverse dynamics of eight bodies, the eighth being what hangs on the flange.
_CODE = r"""
typedef double real;
static void cross(const real *a, const real *b, real *c) {
    c[0] = a[1] * b[2] - a[2] * b[1]; c[1] = a[2] * b[0] - a[0] * b[2]; c[2] = a[0] * b[1] - a[1] * b[0];
}
static void turn(const real *T, const real *v, real *out) {
    for (int i = 0; i < 3; i++) out[i] = T[i] * v[0] + T[4 + i] * v[1] + T[8 + i] * v[2];
}
static void unturn(const real *T, const real *v, real *out) {
    for (int i = 0; i < 3; i++) out[i] = T[4 * i] * v[0] + T[4 * i + 1] * v[1] + T[4 * i + 2] * v[2];
}
static void times(const real *A, const real *B, real *C) {
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++) {
            real sum = 0;
            for (int k = 0; k < 4; k++) sum += A[4 * k + i] * B[4 * j + k];
            C[4 * j + i] = sum;
        }
}
static void frames(const real *q, const real *F_T_EE, real T[9][16]) {
    real before[16] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    for (int i = 0; i < 7; i++) {
        real c = cos(q[i]), s = sin(q[i]), ca = CA[i], sa = SA[i];
        real step[16] = {c, s * ca, s * sa, 0, -s, c * ca, c * sa, 0, 0, -sa, ca, 0, A[i], -sa * D[i], ca * D[i], 1};
        times(i ? T[i - 1] : before, step, T[i]);
    }
    real flange[16] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, FLANGE, 1};
    times(T[6], flange, T[7]);
    if (F_T_EE) times(T[7], F_T_EE, T[8]);
}
static void pose(const real *q, const real *F_T_EE, int frame, real *out) {
    real T[9][16];
    frames(q, F_T_EE, T);
    for (int i = 0; i < 16; i++) out[i] = T[frame][i];
}
static void jacobian(const real *q, const real *F_T_EE, int frame, int body, real *J) {
    real T[9][16];
    frames(q, F_T_EE, T);
    for (int i = 0; i < 42; i++) J[i] = 0;
    for (int j = 0; j < 7 && j <= frame; j++) {
        real arm[3], column[6];
        for (int i = 0; i < 3; i++) { arm[i] = T[frame][12 + i] - T[j][12 + i]; column[3 + i] = T[j][8 + i]; }
        cross(column + 3, arm, column);
        if (body) { unturn(T[frame], column, J + 6 * j); unturn(T[frame], column + 3, J + 6 * j + 3); }
        else for (int i = 0; i < 6; i++) J[6 * j + i] = column[i];
    }
}
static void inverse_dynamics(const real *q, const real *dq, const real *ddq, const real *g, const real *tool_I,
                             real tool_m, const real *tool_c, real *tau) {
    real T[9][16], w[3] = {0, 0, 0}, dw[3] = {0, 0, 0}, a[3] = {-g[0], -g[1], -g[2]}, last[3] = {0, 0, 0};
    frames(q, 0, T);
    for (int j = 0; j < 7; j++) tau[j] = 0;
    for (int i = 0; i < 8; i++) {
        real r[3], x[3], y[3], z[3], spin[3], centre[3], ac[3], F[3], N[3], local[3], I[3];
        for (int k = 0; k < 3; k++) r[k] = T[i][12 + k] - last[k];
        cross(dw, r, x); cross(w, r, y); cross(w, y, z);
        for (int k = 0; k < 3; k++) { a[k] += x[k] + z[k]; last[k] = T[i][12 + k]; }
        if (i < 7) {
            for (int k = 0; k < 3; k++) spin[k] = T[i][8 + k] * dq[i];
            cross(w, spin, x);
            for (int k = 0; k < 3; k++) { dw[k] += x[k] + T[i][8 + k] * ddq[i]; w[k] += spin[k]; }
        }
        const real *c = i < 7 ? C[i] : tool_c, *tensor = i < 7 ? TENSOR[i] : tool_I;
        real m = i < 7 ? M[i] : tool_m;
        turn(T[i], c, centre);
        cross(dw, centre, x); cross(w, centre, y); cross(w, y, z);
        for (int k = 0; k < 3; k++) { ac[k] = a[k] + x[k] + z[k]; F[k] = m * ac[k]; centre[k] += T[i][12 + k]; }
        unturn(T[i], dw, local);
        for (int k = 0; k < 3; k++) I[k] = tensor[k] * local[0] + tensor[3 + k] * local[1] + tensor[6 + k] * local[2];
        turn(T[i], I, N);
        unturn(T[i], w, local);
        for (int k = 0; k < 3; k++) I[k] = tensor[k] * local[0] + tensor[3 + k] * local[1] + tensor[6 + k] * local[2];
        turn(T[i], I, x);
        cross(w, x, y);
        for (int k = 0; k < 3; k++) N[k] += y[k];
        for (int j = 0; j <= i && j < 7; j++) {
            for (int k = 0; k < 3; k++) r[k] = centre[k] - T[j][12 + k];
            cross(r, F, x);
            for (int k = 0; k < 3; k++) tau[j] += T[j][8 + k] * (N[k] + x[k]);
        }
    }
}
static const real ZERO[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
#define FRAME(n) \
    void O_T_J##n(const real *q, real *T) { pose(q, 0, n - 1, T); } \
    void O_J_J##n(const real *q, real *J) { jacobian(q, 0, n - 1, 0, J); } \
    void Ji_J_J##n(const real *q, real *J) { jacobian(q, 0, n - 1, 1, J); }
void O_T_J1(const real *q, real *T) { pose(q, 0, 0, T); }
void O_J_J1(real *J) { jacobian(ZERO, 0, 0, 0, J); }
void Ji_J_J1(real *J) { jacobian(ZERO, 0, 0, 1, J); }
FRAME(2) FRAME(3) FRAME(4) FRAME(5) FRAME(6) FRAME(7) FRAME(8)
void O_T_J9(const real *q, const real *F_T_EE, real *T) { pose(q, F_T_EE, 8, T); }
void O_J_J9(const real *q, const real *F_T_EE, real *J) { jacobian(q, F_T_EE, 8, 0, J); }
void Ji_J_J9(const real *q, const real *F_T_EE, real *J) { jacobian(q, F_T_EE, 8, 1, J); }
void M_NE(const real *q, const real *I, real m, const real *c, real *out) {
    for (int j = 0; j < 7; j++) {
        real e[7] = {0, 0, 0, 0, 0, 0, 0};
        e[j] = 1;
        inverse_dynamics(q, ZERO, e, ZERO, I, m, c, out + 7 * j);
    }
}
void c_NE(const real *q, const real *dq, const real *I, real m, const real *c, real *out) {
    inverse_dynamics(q, dq, ZERO, ZERO, I, m, c, out);
}
void g_NE(const real *q, const real *g, real m, const real *c, real *out) {
    inverse_dynamics(q, ZERO, ZERO, g, ZERO, m, c, out);
}
"""


def source(arm: ArmParameters) -> str:
    """The library's C source for one arm."""
    links = arm.links
    tensors = [(xx, xy, xz, xy, yy, yz, xz, yz, zz) for xx, yy, zz, xy, xz, yz in (link.tensor for link in links)]
    numbers: dict[str, Iterable[float]] = {
        "A[7]": published.DH_LENGTH,
        "D[7]": published.DH_OFFSET,
        "CA[7]": np.cos(published.DH_TWIST).round(15),
        "SA[7]": np.sin(published.DH_TWIST),
        "M[7]": [link.mass for link in links],
        "C[7][3]": np.ravel([link.centre for link in links]),
        "TENSOR[7][9]": np.ravel(tensors),
    }
    lines = ["#include <math.h>"]
    for name, values in numbers.items():
        lines.append(f"static const double {name} = {{{', '.join(repr(float(value)) for value in values)}}};")
    lines.append(f"static const double FLANGE = {published.FLANGE_HEIGHT!r};")
    return "\n".join(lines) + _CODE


@functools.cache
def _compiled(code: str) -> bytes:
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise UserError(
            "model library: wanted a C compiler (cc, gcc or clang), found none; Debian: apt-get install gcc libc6-dev"
        )
    with tempfile.TemporaryDirectory() as folder:
        text, library = Path(folder) / "model.c", Path(folder) / "model.so"
        text.write_text(code, encoding="utf-8")
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(text), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"model library: {compiler} failed: {done.stderr.strip()[:500]}")
        return library.read_bytes()


def model_library(arm: ArmParameters, architecture: int, system: int) -> bytes:
    """A shared object for the machine that a client says it runs on, which must be one like ours.

    Raises:
        UserError: it is another, or there is no C compiler.
    """
    here = platform.machine()
    if system != _LINUX or here not in _ARCHITECTURES.get(architecture, ()):
        raise UserError(
            f"model library: wanted a client on Linux and {here}, came system {system}, machine {architecture}"
        )
    return _compiled(source(arm))

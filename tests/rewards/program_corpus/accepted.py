"""Programs as models write them; each must agree with the oracle, world by world."""

from __future__ import annotations


def _reward(body: str, before: str = "") -> str:
    indented = "\n".join(f"    {line}" if line else "" for line in body.strip().split("\n"))
    return f"{before}def reward(scene, action):\n{indented}\n"


PROGRAMS: dict[str, str] = {
    "distance": _reward('return {"reach": -np.linalg.norm(scene.hand.position - scene.cube.position)}'),
    "staged pick and place": '''
def reward(scene, action):
    """Reach, grasp, lift, place."""
    hand = scene.hand.position
    cube = scene.cube.position
    goal = scene.goal.position

    reach_dist = np.linalg.norm(hand - cube)
    reach = 1.0 - np.tanh(5.0 * reach_dist)
    lifted = cube[2] > scene.initial.cube.position[2] + 0.02
    grasp = 0.0
    if reach_dist < 0.2 and scene.hand.opening < 0.5:
        grasp = 1.0
    place = 0.0
    if lifted and grasp > 0.5:
        place = 3.0 * np.exp(-4.0 * np.linalg.norm(cube - goal))
    total = reach + grasp + place
    return total, {"reach": reach, "grasp": grasp, "place": place}
''',
    "early returns": _reward("""
d = np.linalg.norm(scene.hand.position - scene.cube.position)
if d < 0.1:
    return {"near": 1.0, "bonus": 5.0 * scene.hand.opening}
elif d < 0.5:
    speed = np.linalg.norm(scene.hand.velocity)
    if speed > 0.5:
        return {"near": 0.5, "slow": -speed}
    return {"near": 0.25}
return {"far": -d}
"""),
    "early return inside a loop": _reward("""
for limit in (0.05, 0.2, 0.6):
    if np.linalg.norm(scene.cube.position) < limit:
        return {"ring": 1.0 / limit}
return {"ring": 0.0}
"""),
    "helpers": '''
SCALE = 4.0
WEIGHTS = {"near": 2.0, "far": 0.5}


def squash(d, scale: float = SCALE) -> float:
    """1 at 0, falling."""
    return np.exp(-scale * d)


def reward(scene, action) -> tuple[float, dict[str, float]]:
    near = squash(np.linalg.norm(scene.hand.position - scene.cube.position), scale=2.0)
    far = squash(d=np.linalg.norm(scene.cube.position - scene.goal.position))
    return {"near": WEIGHTS["near"] * near, "far": WEIGHTS["far"] * far}
''',
    "helper with branches and early return": """
def stage(x, low, high):
    if x < low:
        return 0.0
    if x > high:
        return 1.0
    return (x - low) / (high - low)


def both(scene):
    return stage(scene.cube.position[2], 0.0, 0.3), stage(scene.hand.opening, 0.1, 0.9)


def reward(scene, action):
    lift, opening = both(scene)
    return {"lift": lift, "open": opening}
""",
    "helper of a group": """
def height(thing):
    return thing.position[2]


def reward(scene, action):
    start, before = scene.initial, scene.previous
    gain = height(scene.cube) - height(start.cube)
    return {"gain": gain, "progress": height(scene.cube) - height(before.cube)}
""",
    "loops over ranges": _reward("""
smooth = 0.0
for i in range(4):
    smooth += action[i] ** 2 / (i + 1)
for i in range(1, 7, 2):
    smooth -= 0.1 * abs(scene.robot.joints[i])
return {"smooth": -smooth}
"""),
    "nested loops and matrices": _reward("""
spread = 0.0
for i in range(4):
    for j in range(i):
        spread = spread + np.linalg.norm(scene.robot.tips[i] - scene.robot.tips[j])
centre = np.mean(scene.robot.tips, axis=0)
return {"spread": spread, "centre": -np.linalg.norm(centre - scene.cube.position), "x": scene.robot.tips[2, 0]}
"""),
    "loop over elements, enumerate and zip": _reward("""
total = 0.0
for a in action:
    total += a * a
for i, (joint, weight) in enumerate(zip(scene.robot.joints[:3], [1.0, 0.5, 0.25])):
    total += weight * joint * i
return total, {"effort": total}
"""),
    "comprehensions": _reward("""
effort = sum(action[i] ** 2 for i in range(4))
tips = [np.linalg.norm(tip - scene.cube.position) for tip in scene.robot.tips]
worst = max(tips)
inside = sum([t < 0.3 for t in tips])
any_close = any(t < 0.1 for t in tips)
all_close = all([t < 1.0 for t in tips])
odd = sum(action[i] for i in range(4) if i % 2 == 1)
return {"effort": -effort, "worst": -worst, "in": inside, "any": any_close, "all": float(all_close), "odd": odd}
"""),
    "tuple unpacking": _reward("""
x, y, z = scene.cube.position
(a, b), c = (x, y), z
w, _, _, qz = scene.cube.orientation
a, b = b, a
return {"plane": -np.hypot(a, b), "height": c, "turn": w * qz}
"""),
    "slices": _reward("""
p = scene.cube.position
q = scene.robot.joints
return {"xy": -np.linalg.norm(p[:2]), "last": p[-1], "mid": np.sum(q[1:-1]), "even": q[::2].sum(), "tail": p[..., 2]}
"""),
    "masks as numbers": _reward("""
d = np.linalg.norm(scene.hand.position - scene.cube.position)
near = d < 0.3
open_hand = scene.hand.opening > 0.5
both = near & open_hand
either = (d < 0.1) | (scene.cube.size > 0.05)
return {
    "a": 2.0 * near, "b": float(near) + float(open_hand), "c": near * open_hand, "d": 1 - both,
    "e": int(either), "f": True + 1.0, "g": bool(d) * 0.5, "h": np.where(near, 1.0, -d),
}
"""),
    "boolean logic": _reward("""
p = scene.cube.position
high = p[2] > 0.1
low = not high
band = -0.2 < p[0] <= 0.2
ok = (high and band) or (low and not band)
weird = p[0] and p[1] or 0.5
flag = np.logical_and(high, np.logical_not(band)) or np.all(p > 0) or np.any(p > 0.4)
return {"ok": ok, "weird": weird, "flag": 1.0 if flag else 0.0, "xor": np.logical_xor(high, band)}
"""),
    "conditional expressions": _reward("""
d = np.linalg.norm(scene.hand.position - scene.cube.position)
bonus = 10.0 if d < 0.05 else (5.0 if d < 0.2 else (1.0 if d < 0.6 else 0.0))
safe = 1.0 / d if d > 1e-6 else 0.0
return {"bonus": bonus, "safe": min(safe, 10.0)}
"""),
    "untaken branches that are undefined": _reward("""
x = scene.cube.position[0]
if x > 0:
    r = np.sqrt(x) + np.log(x)
else:
    r = -np.sqrt(-x)
y = np.where(x > 0, np.sqrt(np.abs(x)), 0.0)
inverse = 1.0 / (x - x) if x > 1e9 else 0.0
return {"r": r, "y": y, "inverse": inverse}
"""),
    "arithmetic": _reward("""
a, b = scene.cube.position[0], scene.cube.size
return {
    "mod": a % b, "floor": a // b, "power": abs(a) ** 1.5, "square": a**2, "cube": a**3, "root": b**0.5,
    "inverse": b**-1, "neg": -a, "pos": +a, "int": 7 // 2 * a + 2**3 - 7 % 4, "scale": 2 * b / 3,
}
"""),
    "elementary functions": _reward("""
x = np.tanh(scene.robot.joints)
s = x[0]
return {
    "a": np.sin(s) + np.cos(s) + np.tan(s), "b": np.arcsin(s) + np.arccos(s) + np.arctan(s), "c": np.log1p(s * s),
    "d": np.expm1(s) + np.exp(-s), "e": np.sinh(s) - np.cosh(s), "f": np.sign(s) + np.floor(3 * s) + np.ceil(s),
    "g": np.round(5 * s) + np.trunc(4 * s), "h": np.log(1 + s * s) + np.log2(2 + s) + np.log10(2 + s),
    "i": np.deg2rad(90.0 * s) + np.rad2deg(s), "j": np.square(s), "k": np.arctan2(x[1], x[2]),
    "l": np.hypot(x[1], x[2]),
}
"""),
    "the math module": _reward("""
d = math.sqrt(scene.cube.position[0] ** 2 + scene.cube.position[1] ** 2)
angle = math.atan2(scene.cube.position[1], scene.cube.position[0])
return {"d": math.exp(-d), "a": math.cos(angle) * math.pi, "h": math.hypot(d, 1.0), "p": math.pow(d, 2)}
"""),
    "reductions": _reward("""
q = scene.robot.joints
t = scene.robot.tips
return {
    "a": np.sum(q) + np.mean(q) + np.max(q) - np.min(q), "b": np.std(q) + np.var(q), "c": np.prod(q),
    "d": np.sum(np.max(t, axis=0)), "e": np.linalg.norm(t, axis=-1).sum(), "f": np.sum(t, axis=1)[2], "g": np.sum(t),
    "h": q.sum() + q.mean() + q.max() + q.min() + q.std(), "i": np.linalg.norm(q, ord=1) + np.linalg.norm(q, np.inf),
    "j": max(q) + min(q) + sum(q), "k": len(q) + q.shape[0] + t.shape[1],
}
"""),
    "linear algebra": _reward("""
a, b = scene.hand.position, scene.cube.position
axis = np.array([0.0, 0.0, 1.0])
offset = np.array([0.0, scene.cube.size, -scene.cube.size])
m = np.stack([a, b])
return {
    "dot": np.dot(a, b), "at": a @ b, "method": a.dot(b), "cross": np.linalg.norm(np.cross(a, b)), "up": axis @ a,
    "offset": np.linalg.norm(a + offset - b), "matrix": (m @ axis)[1], "square": (m @ scene.robot.tips[:3])[0, 1],
    "row": (axis[:2] @ m)[2],
}
"""),
    "making arrays": _reward("""
z = np.zeros(3)
o = np.ones_like(scene.cube.position)
v = np.concatenate([scene.cube.position[:2], np.array([0.1]), np.zeros(1)])
w = np.array([action[0], 0.5, scene.hand.opening], dtype=np.float64) * 2
near = (np.abs(scene.robot.joints) < 0.3).astype(float)
return {"a": np.linalg.norm(scene.cube.position - z + o), "b": v.sum(), "w": w.mean(), "n": near.sum() + np.sum(near)}
"""),
    "clip and bounds": _reward("""
h = scene.cube.position[2]
return {
    "a": np.clip(h, 0.0, 0.2), "b": np.clip(action, -0.5, 0.5).sum(), "c": np.clip(h, a_min=-0.1, a_max=0.1),
    "d": max(0.0, min(1.0, h / 0.2)), "e": np.maximum(h, 0), "f": np.minimum(action, 0.0)[1], "g": max(h, 0, -h),
    "h": min([h, 0.3, scene.cube.size]), "i": np.clip(h, 0.0, scene.cube.size), "j": h.clip(0.0, np.inf),
}
"""),
    "tolerance": _reward("""
d = np.linalg.norm(scene.hand.position - scene.cube.position)
return {"a": tolerance(d, 0.0, 0.1, 0.5), "b": tolerance(scene.door.angle, -0.1, 0.1, margin=0.3)}
"""),
    "a variable named like a helper of ours": _reward("""
tolerance = 0.3
reward = 0.0
reward += 1.0 if abs(scene.door.angle) < tolerance else 0.0
return reward, {"door": reward}
"""),
    "orientation": _reward("""
q, p = scene.cube.orientation, scene.hand.orientation
up = quat_up(q)
tip = scene.cube.position + quat_rotate(q, np.array([0.0, 0.0, 0.1]))
relative = quat_multiply(quat_conjugate(p), q)
roll, pitch, yaw = quat_to_euler(q)
return {
    "up": up[2], "tip": -np.linalg.norm(tip - scene.goal.position), "angle": -quat_angle(p, q), "w": relative[0] ** 2,
    "roll": np.cos(roll), "pitch": pitch, "yaw": np.sin(yaw), "back": quat_rotate(quat_conjugate(q), up)[2],
    "fixed": quat_rotate(np.array([0.5, 0.5, 0.5, 0.5]), scene.hand.position)[0], "wrap": np.cos(wrap_angle(5 * yaw)),
}
"""),
    "velocities and previous": _reward("""
step = scene.cube.position - scene.previous.cube.position
toward = scene.goal.position - scene.previous.cube.position
progress = np.dot(step, toward / (np.linalg.norm(toward) + 1e-6))
spin = -abs(scene.door.speed) * 0.01
return {"progress": 10.0 * progress, "spin": spin, "slow": -np.linalg.norm(scene.hand.velocity)}
"""),
    "terms in a variable": _reward("""
reach = np.exp(-np.linalg.norm(scene.hand.position - scene.cube.position))
effort = -0.01 * np.sum(np.square(action))
terms = {"reach": reach, "effort": effort}
total = 2.0 * terms["reach"] + terms["effort"]
return total, terms
"""),
    "sum of the terms": _reward("""
terms = {"a": scene.hand.opening, "b": scene.cube.size * 2}
return sum(terms.values()), terms
"""),
    "terms that are fields": _reward(
        'return {"opening": scene.hand.opening, "x": scene.cube.position[0], "a": action[3]}'
    ),
    "constant terms": _reward('return {"alive": 1.0, "cost": -1, "two": 2 * np.pi, "yes": True}'),
    "clipped action": _reward("""
action = np.clip(action, -0.5, 0.5)
return {"effort": -np.sum(action**2), "jerk": -np.max(np.abs(action - action.mean()))}
"""),
    "locomotion": _reward("""
speed = (scene.hand.position[0] - scene.previous.hand.position[0]) / 0.05
healthy = scene.hand.position[2] > -0.2 and abs(scene.door.angle) < 0.4
forward = 1.25 * speed
alive = 1.0 if healthy else 0.0
ctrl = 1e-3 * np.square(action).sum()
return forward + alive - ctrl, {"forward": forward, "alive": alive, "ctrl": -ctrl}
"""),
    "variables from both branches": _reward("""
if scene.door.angle > 0:
    target = scene.goal.position
    weight, name = 2.0, 1
else:
    target = scene.cube.position + np.array([0.0, 0.0, 0.1])
    weight = 1
    temporary = target * 2
    name = temporary[0]
return {"go": -weight * np.linalg.norm(scene.hand.position - target), "name": name}
"""),
    "annotations and docstrings": '''
"""A reward."""
LIMIT: float = 0.3


def reward(scene: "Scene", action: np.ndarray) -> tuple[float, dict[str, float | None]]:
    """Bring the cube to the goal: caf\u00e9, \u2264 0.3 m."""
    d: float = np.linalg.norm(scene.cube.position - scene.goal.position)  # metres \u2192 number
    near: bool = d < LIMIT
    pass
    return {"near": near, "d": -d}
''',
}

# Harmless texts that look like something forbidden.
LOOKALIKES: dict[str, str] = {
    "words in comments": _reward("# import os; exec(open('x')); __class__; eval\nreturn {'a': 1.0}"),
    "words in a docstring": _reward('"""import os; __import__("os").system("ls"); """\nreturn {"a": 1.0}'),
    "names that contain words": _reward(
        "importance = 2.0\nevaluation = 1.0\nopen_hand = 0.5\nreturn {'a': importance * evaluation * open_hand}"
    ),
    "terms named like functions": _reward('return {"eval": 1.0, "import": 2.0, "open": 0.5, "class": 0.1}'),
    "underscores inside names": _reward("my_value_ = 1.0\nreturn {'my_term_': my_value_}"),
    "throwaway name": _reward("s = 0.0\nfor _ in range(3):\n    s += 1.0\nreturn {'a': s}"),
    "many brackets side by side": _reward("return {'a': " + " + ".join(["(1.0)"] * 50) + "}"),
    "a deep but fair expression": _reward("return {'a': ((((((((((1.0))))))))))}"),
    "carriage returns": _reward("a = 1.0\nreturn {'a': a}").replace("\n", "\r\n"),
    "tabs": _reward("a = 1.0\nreturn {'a': a}").replace("    ", "\t"),
    "continued lines": _reward("a = 1.0 + \\\n    2.0\nreturn {'a': a}"),
    "semicolons": _reward("a = 1.0; b = 2.0\nreturn {'a': a, 'b': b}"),
    "numbers with underscores": _reward("return {'a': 1_000.0, 'b': 0x10, 'c': 1e-12}"),
    "unused helper": _reward("return {'a': 1.0}", "def unused(x):\n    return x + 1.0\n\n\n"),
    "local reward": _reward("reward = 1.0\nreturn {'a': reward}"),
    "ternary in terms": _reward("return {'a': 1.0 if scene.hand.opening > 0.5 else 0.0}"),
    "largest loop": _reward("s = 0.0\nfor i in range(256):\n    s += 1.0\nreturn {'a': s}"),
    "thirty-two terms": _reward("return {" + ", ".join(f"'t{i}': 1.0" for i in range(32)) + "}"),
    "elif chain": _reward(
        "x = scene.door.angle\nif x > 9:\n    y = 9.0\n"
        + "".join(f"elif x > {i}:\n    y = {i}.0\n" for i in range(8, 0, -1))
        + "else:\n    y = 0.0\nreturn {'a': y}"
    ),
}

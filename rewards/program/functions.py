"""The table of functions: spelling, one line of doc, shape rule, unit rule and arithmetic of each.

A spelling such as `np.linalg.norm` is looked up here when a program is checked; nothing else is ever called.
The language reference is generated from this table and the one in special.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rewards.program import kernels as k
from rewards.program import units as u
from rewards.program.errors import Refused
from rewards.program.kernels import Bind, Shape
from rewards.program.units import Unit

ShapeRule = Callable[[Sequence[Shape], tuple[Any, ...]], Shape]
UnitRule = Callable[[Sequence[Unit], Sequence[float | None]], Unit]  # units and constant values of the inputs
Takes = Literal["float", "bool", "any"]


@dataclass(frozen=True)
class Function:
    """One instruction, and how programs spell it."""

    name: str
    spellings: tuple[str, ...]
    inputs: tuple[str, ...]  # names of the arguments that are computed values
    bind: Bind
    shape: ShapeRule
    unit: UnitRule
    doc: str
    static: Mapping[str, Any] = field(default_factory=dict)  # arguments that must be constants, after the inputs
    defaults: Mapping[str, float] = field(default_factory=dict)  # of inputs
    aliases: Mapping[str, str] = field(default_factory=dict)
    takes: Takes = "float"
    gives: Literal["float", "bool", "same"] = "float"
    agree: int | None = None  # inputs from this one on are added or compared, so their units must agree
    topic: str = "arithmetic"


# Shape rules.


def broadcast(shapes: Sequence[Shape], static: tuple[Any, ...] = ()) -> Shape:
    """numpy's rule, on the shapes of one world."""
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result = tuple(max(sizes) for sizes in zip(*padded, strict=True))
    if any(size not in (1, wanted) for shape in padded for size, wanted in zip(shape, result, strict=True)):
        listed = " and ".join(str(shape) for shape in shapes)
        raise Refused(f"the shapes {listed} do not fit together", "take the same number of elements, e.g. x[:2]")
    return result


def reduce_axis(shapes: Sequence[Shape], static: tuple[Any, ...]) -> Shape:
    shape, axis = shapes[0], static[-1]
    if axis is None:
        return ()
    if type(axis) is not int or not -len(shape) <= axis < len(shape):
        raise Refused(f"axis={axis} of an array of shape {shape}", "leave the axis out, or use axis=-1 on an array")
    at = axis % len(shape)
    return shape[:at] + shape[at + 1 :]


def norm_shape(shapes: Sequence[Shape], static: tuple[Any, ...]) -> Shape:
    order, axis = static
    if order not in (None, 1, 2, float("inf")):
        raise Refused(f"a norm of order {order}", "leave the order out for the Euclidean norm, or use 1 or np.inf")
    if len(shapes[0]) > 1 and axis is None and order is not None:
        raise Refused("a matrix norm", "give the axis, e.g. axis=-1 for the norm of every row")
    return reduce_axis(shapes, static)


def matmul_shape(shapes: Sequence[Shape], static: tuple[Any, ...]) -> Shape:
    a, b = shapes
    if not (1 <= len(a) <= 2 and 1 <= len(b) <= 2) or a[-1] != b[0]:
        raise Refused(
            f"a product of shapes {a} and {b}", "`@` and np.dot take vectors of one length; use `*` for numbers"
        )
    return a[:-1] + b[1:]


def exactly(*wanted: Shape, result: Shape) -> ShapeRule:
    """Inputs of fixed shapes."""

    def rule(shapes: Sequence[Shape], static: tuple[Any, ...]) -> Shape:
        if tuple(shapes) != wanted:
            expected, came = (" and ".join(map(str, listed)) for listed in (wanted, shapes))
            raise Refused(
                f"wanted shapes {expected}, came {came}", "a quaternion is (w, x, y, z), a vector is (x, y, z)"
            )
        return result

    return rule


def index_shape(shapes: Sequence[Shape], static: tuple[Any, ...]) -> Shape:
    kept = [
        range(size)[slice(*item[1:])] for size, item in zip(shapes[0], static, strict=False) if isinstance(item, tuple)
    ]
    return tuple(len(each) for each in kept) + shapes[0][len(static) :]


def stack_shape(shapes: Sequence[Shape], static: tuple[Any, ...]) -> Shape:
    if len(set(shapes)) > 1:
        listed = ", ".join(map(str, shapes[:6]))
        raise Refused(f"rows of different shapes: {listed}", "give every row the same shape, or use np.concatenate")
    return (len(shapes), *shapes[0])


def concatenate_shape(shapes: Sequence[Shape], static: tuple[Any, ...]) -> Shape:
    if any(len(shape) != 1 for shape in shapes):
        listed = ", ".join(map(str, shapes[:6]))
        raise Refused(f"np.concatenate of shapes {listed}", "concatenate vectors only; write [x] to join a number x")
    return (sum(shape[0] for shape in shapes),)


# Unit rules.


def common(units: Sequence[Unit], constants: Sequence[float | None]) -> Unit:
    return u.common(units)


def pure(units: Sequence[Unit], constants: Sequence[float | None]) -> Unit:
    return u.ONE


def radian(units: Sequence[Unit], constants: Sequence[float | None]) -> Unit:
    return u.RADIAN


def unknown(units: Sequence[Unit], constants: Sequence[float | None]) -> Unit:
    return None


def chosen(units: Sequence[Unit], constants: Sequence[float | None]) -> Unit:
    return u.common(units[1:])


def first(units: Sequence[Unit], constants: Sequence[float | None]) -> Unit:
    return units[0]


def powers(*exponents: float) -> UnitRule:
    return lambda units, constants: u.product(units, exponents)


def to_the(units: Sequence[Unit], constants: Sequence[float | None]) -> Unit:
    exponent = constants[1]
    return u.ONE if units[0] == u.ONE else None if exponent is None else u.product(units[:1], [exponent])


# The rows. Each helper below is one family of rows.


def _map(
    name: str, unit: UnitRule, doc: str, *, torch: str | None = None, also: str = "", inputs: str = "x"
) -> Function:
    """An elementwise function that numpy and torch have."""
    spellings = (f"np.{name}", *also.split())
    agree = 0 if unit in (common, radian) and len(inputs.split()) > 1 else None
    return Function(name, spellings, tuple(inputs.split()), k.ufunc(name, torch), broadcast, unit, doc, agree=agree)


def _compare(name: str, symbol: str) -> Function:
    doc, bind = f"`a {symbol} b`", k.ufunc(name)
    return Function(
        name,
        (f"np.{name}",),
        ("a", "b"),
        bind,
        broadcast,
        pure,
        doc,
        gives="bool",
        agree=0,
        topic="comparison and logic",
    )


def _logic(name: str, inputs: str, doc: str) -> Function:
    return Function(
        name,
        (f"np.{name}",),
        tuple(inputs.split()),
        k.ufunc(name),
        broadcast,
        pure,
        doc,
        takes="bool",
        gives="bool",
        topic="comparison and logic",
    )


def _reduce(
    name: str, function: Callable[[Any, Any, int], Any], unit: UnitRule, doc: str, takes: Takes = "float"
) -> Function:
    gives: Literal["float", "bool"] = "bool" if takes == "bool" else "float"
    spellings = {"max": ("np.max", "np.amax"), "min": ("np.min", "np.amin")}.get(name, (f"np.{name}",))
    return Function(
        f"{name}_of",
        spellings,
        ("x",),
        k.reduction(function),
        reduce_axis,
        unit,
        doc,
        static={"axis": None},
        takes=takes,
        gives=gives,
        topic="reduction",
    )


def _turn(name: str, function: Callable[..., Any], inputs: str, shape: ShapeRule, unit: UnitRule, doc: str) -> Function:
    names = tuple(inputs.split())
    return Function(
        name, (name,), names, k.kernel(function), shape, unit, doc, topic="rotation by quaternions (w, x, y, z)"
    )


_Q, _V = (4,), (3,)

_ARITHMETIC = (
    _map("add", common, "`a + b`", inputs="a b"),
    _map("subtract", common, "`a - b`", inputs="a b"),
    _map("multiply", powers(1, 1), "`a * b`", inputs="a b"),
    _map("divide", powers(1, -1), "`a / b`", inputs="a b", also="np.true_divide"),
    _map("power", to_the, "`a ** b`", torch="pow", inputs="a b", also="pow math.pow"),
    _map("floor_divide", powers(1, -1), "`a // b`", inputs="a b"),
    _map("mod", first, "`a % b`, with the sign of b", torch="remainder", inputs="a b", also="np.remainder"),
    _map("negative", first, "`-a`", inputs="a"),
    _map("minimum", common, "the smaller, element by element", inputs="a b"),
    _map("maximum", common, "the larger, element by element", inputs="a b"),
    _map("abs", first, "absolute value", also="abs np.absolute np.fabs math.fabs"),
    _map("sign", pure, "-1, 0 or 1"),
    _map("square", powers(2), "x * x"),
    _map("sqrt", powers(0.5), "square root", also="math.sqrt"),
    _map("exp", pure, "e to the x", also="math.exp"),
    _map("expm1", pure, "exp(x) - 1", also="math.expm1"),
    _map("log", pure, "natural logarithm", also="math.log"),
    _map("log1p", pure, "log(1 + x)", also="math.log1p"),
    _map("log10", pure, "logarithm to base 10", also="math.log10"),
    _map("log2", pure, "logarithm to base 2", also="math.log2"),
    _map("sin", pure, "sine", also="math.sin"),
    _map("cos", pure, "cosine", also="math.cos"),
    _map("tan", pure, "tangent", also="math.tan"),
    _map("tanh", pure, "hyperbolic tangent", also="math.tanh"),
    _map("sinh", pure, "hyperbolic sine", also="math.sinh"),
    _map("cosh", pure, "hyperbolic cosine", also="math.cosh"),
    _map("arcsin", radian, "angle of a sine", also="math.asin np.asin"),
    _map("arccos", radian, "angle of a cosine", also="math.acos np.acos"),
    _map("arctan", radian, "angle of a tangent", also="math.atan np.atan"),
    _map("arctan2", radian, "angle of the point (x, y)", inputs="y x", also="math.atan2 np.atan2"),
    _map("hypot", common, "sqrt(a^2 + b^2)", inputs="a b", also="math.hypot"),
    _map("deg2rad", radian, "degrees to radians", also="np.radians math.radians"),
    _map("rad2deg", unknown, "radians to degrees", also="np.degrees math.degrees"),
    _map("floor", first, "largest whole number below", also="math.floor"),
    _map("ceil", first, "smallest whole number above", also="math.ceil"),
    _map("trunc", first, "whole part", also="math.trunc np.fix"),
    _map("round", first, "nearest whole number, halves to even", also="round np.rint"),
    Function(
        "clip",
        ("np.clip",),
        ("x", "min", "max"),
        k.kernel(k.clip),
        broadcast,
        common,
        "x kept within [min, max]",
        aliases={"a": "x", "a_min": "min", "a_max": "max"},
        agree=0,
    ),
    Function(
        "tolerance",
        ("tolerance",),
        ("x", "lower", "upper", "margin"),
        k.kernel(k.tolerance),
        broadcast,
        pure,
        "1 for lower <= x <= upper, else 1 / (1 + (3 gap / margin)^2): 0.1 at a gap of margin, never flat",
        agree=0,
    ),
    Function(
        "wrap_angle", ("wrap_angle",), ("x",), k.kernel(k.wrap_angle), broadcast, radian, "the same angle in [-pi, pi]"
    ),
)

_LOGIC = (
    _compare("less", "<"),
    _compare("less_equal", "<="),
    _compare("greater", ">"),
    _compare("greater_equal", ">="),
    _compare("equal", "=="),
    _compare("not_equal", "!="),
    _logic("logical_and", "a b", "`a and b`, also element by element"),
    _logic("logical_or", "a b", "`a or b`, also element by element"),
    _logic("logical_xor", "a b", "exactly one of the two"),
    _logic("logical_not", "a", "`not a`, also element by element"),
    Function(
        "where",
        ("np.where",),
        ("condition", "a", "b"),
        k.ufunc("where"),
        broadcast,
        chosen,
        "a where the condition holds, else b",
        takes="any",
        gives="same",
        topic="comparison and logic",
    ),
)

_REDUCTIONS = (
    _reduce("sum", lambda xp, x, axis: x.sum(axis), first, "sum of the elements"),
    _reduce("mean", lambda xp, x, axis: x.mean(axis), first, "mean of the elements"),
    _reduce("max", lambda xp, x, axis: xp.amax(x, axis), first, "largest element"),
    _reduce("min", lambda xp, x, axis: xp.amin(x, axis), first, "smallest element"),
    _reduce("prod", lambda xp, x, axis: x.prod(axis), unknown, "product of the elements"),
    _reduce("var", k.variance, powers(2), "variance of the elements"),
    _reduce("std", lambda xp, x, axis: xp.sqrt(k.variance(xp, x, axis)), first, "standard deviation of the elements"),
    _reduce("all", lambda xp, x, axis: x.all(axis), pure, "whether every element is true", "bool"),
    _reduce("any", lambda xp, x, axis: x.any(axis), pure, "whether some element is true", "bool"),
    Function(
        "norm",
        ("np.linalg.norm",),
        ("x",),
        k.norm,
        norm_shape,
        first,
        "Euclidean length of a vector",
        static={"ord": None, "axis": None},
        topic="reduction",
    ),
    Function(
        "matmul",
        ("np.dot", "np.matmul"),
        ("a", "b"),
        k.matmul,
        matmul_shape,
        powers(1, 1),
        "`a @ b`: dot product of vectors, product with a matrix",
        topic="reduction",
    ),
    Function(
        "cross",
        ("np.cross",),
        ("a", "b"),
        k.kernel(k.cross),
        exactly(_V, _V, result=_V),
        powers(1, 1),
        "cross product of two (3,)",
        topic="reduction",
    ),
)

_ROTATIONS = (
    _turn(
        "quat_rotate", k.quat_rotate, "q v", exactly(_Q, _V, result=_V), lambda a, _: a[1], "the vector v turned by q"
    ),
    _turn("quat_multiply", k.quat_multiply, "p q", exactly(_Q, _Q, result=_Q), pure, "first q, then p"),
    _turn("quat_conjugate", k.quat_conjugate, "q", exactly(_Q, result=_Q), pure, "the inverse turn"),
    _turn("quat_angle", k.quat_angle, "p q", exactly(_Q, _Q, result=()), radian, "angle between two poses, in [0, pi]"),
    _turn(
        "quat_to_euler", k.quat_to_euler, "q", exactly(_Q, result=_V), radian, "(roll, pitch, yaw) about world x, y, z"
    ),
    _turn(
        "quat_up", k.quat_up, "q", exactly(_Q, result=_V), pure, "the body's z axis in the world; (0, 0, 1) is upright"
    ),
)

# Instructions that no program spells as a call.
_INNER = (
    Function("index", (), ("x",), k.index, index_shape, first, "", takes="any", gives="same"),
    Function("stack", (), (), k.stack, stack_shape, common, "", takes="any", gives="same"),
    Function("concatenate", (), (), k.concatenate, concatenate_shape, common, "", takes="any", gives="same"),
)

LISTED: tuple[Function, ...] = (*_ARITHMETIC, *_LOGIC, *_REDUCTIONS, *_ROTATIONS)
FUNCTIONS: dict[str, Function] = {row.name: row for row in (*LISTED, *_INNER)}

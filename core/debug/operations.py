"""Torch functions by what they do to a number, as far as sampling and training are made of them."""

from __future__ import annotations

#: What draws: the function's name → the law of what it gives.
DRAWS = {
    "randn": "normal",
    "randn_like": "normal",
    "normal": "normal",
    "normal_": "normal",
    "rand": "uniform",
    "rand_like": "uniform",
    "uniform_": "uniform",
    "randint": "integers",
    "randint_like": "integers",
    "random_": "integers",
    "randperm": "integers",
    "multinomial": "integers",
    "bernoulli": "bernoulli",
    "bernoulli_": "bernoulli",
    "exponential_": "exponential",
    "log_normal_": "log-normal",
    "cauchy_": "cauchy",
}
#: The same numbers under another name, type or shape.
SAME = {
    "view",
    "reshape",
    "flatten",
    "unflatten",
    "squeeze",
    "unsqueeze",
    "to",
    "float",
    "double",
    "half",
    "bfloat16",
    "type",
    "type_as",
    "clone",
    "detach",
    "detach_",
    "contiguous",
    "cpu",
    "cuda",
    "requires_grad_",
    "view_as",
    "reshape_as",
    "positive",
    "__pos__",
    "alias",
    "nan_to_num",
}
SUMS = {
    "add": 1,
    "add_": 1,
    "__add__": 1,
    "__iadd__": 1,
    "__radd__": 1,
    "sub": -1,
    "sub_": -1,
    "__sub__": -1,
    "__isub__": -1,
    "subtract": -1,
    "subtract_": -1,
}
REVERSED = {"rsub", "__rsub__"}
PRODUCTS = {"mul", "mul_", "__mul__", "__imul__", "__rmul__", "multiply", "multiply_"}
QUOTIENTS = {"div", "div_", "__div__", "__truediv__", "__itruediv__", "__rdiv__", "__rtruediv__", "true_divide",
             "divide", "divide_"}
CLAMPS = {"clamp", "clamp_", "clip", "clip_", "hardtanh", "clamp_min", "clamp_max", "clamp_min_", "clamp_max_"}
PARTS = {"chunk", "split", "tensor_split", "unbind", "__getitem__", "narrow", "select", "split_with_sizes"}
OTHERS = {
    "neg",
    "neg_",
    "negative",
    "lerp",
    "addcmul",
    "addcdiv",
    "where",
    "cat",
    "concat",
    "concatenate",
    "stack",
    "repeat",
    "expand",
    "expand_as",
    "minimum",
    "maximum",
}
#: What makes a number to be minimised out of a difference.
LOSSES = {"mse_loss": "squared", "l1_loss": "absolute", "smooth_l1_loss": "huber", "huber_loss": "huber"}
NORMS = {
    "pow": "squared",
    "__pow__": "squared",
    "pow_": "squared",
    "square": "squared",
    "abs": "absolute",
    "absolute": "absolute",
    "norm": "norm",
    "vector_norm": "norm",
    "linalg_vector_norm": "norm",
    "linalg_norm": "norm",
    "mean": "mean",
    "sum": "mean",
    "float_power": "squared",
}
#: Functions that no step or loss is made of; they are let through unseen.
SILENT = {
    "__get__",
    "__set__",
    "size",
    "dim",
    "numel",
    "item",
    "__len__",
    "backward",
    "_set_grad_enabled",
    "__float__",
    "__bool__",
    "__int__",
    "__format__",
    "__repr__",
    "tolist",
    "numpy",
    "is_complex",
    "is_floating_point",
    "requires_grad_",
    "__setitem__",
    "set_grad_enabled",
}
KINDS = {
    "same": SAME,
    "sum": set(SUMS),
    "reversed": REVERSED,
    "product": PRODUCTS,
    "quotient": QUOTIENTS,
    "clamp": CLAMPS,
    "cat": {"cat", "concat", "concatenate"},
    "stack": {"stack"},
    "other": OTHERS,
}

"""Where a fault can be: the lines of Algorithms 1 and 2 (Ho et al. 2020), as everybody writes them."""

from __future__ import annotations

from enum import StrEnum


class Place(StrEnum):
    """One line of a diffusion program."""

    DATA = "data"
    TIME_SAMPLING = "time_sampling"
    NOISE = "noise"
    FORWARD = "forward"
    TERMINAL = "terminal"
    TIME = "time"
    NETWORK = "network"
    TARGET = "target"
    PARAMETERIZATION = "parameterization"
    LOSS = "loss"
    LEARNING = "learning"
    WEIGHTS = "weights"
    MODE = "mode"
    START = "start"
    LADDER = "ladder"
    STEP = "step"
    STEP_NOISE = "step_noise"
    CLIP = "clip"
    SCHEDULE = "schedule"
    GUIDANCE = "guidance"
    PRECISION = "precision"
    OUTPUT = "output"


#: The two algorithms, line by line, with the places that each line holds. What no line shows stands at the nearest.
TRAINING = (
    ("x0 = next(data)", (Place.DATA,)),
    ("t = randint(0, T, (B,))", (Place.TIME_SAMPLING,)),
    ("eps = randn_like(x0)", (Place.NOISE,)),
    ("x_t = alpha[t]·x0 + sigma[t]·eps", (Place.FORWARD, Place.TERMINAL, Place.PRECISION)),
    ("output = net(x_t, t)", (Place.TIME, Place.NETWORK)),
    ("target = eps      # or x0, or v = alpha·eps − sigma·x0", (Place.TARGET,)),
    ("loss = ((output − target)²).mean()", (Place.LOSS,)),
    ("zero_grad(); loss.backward(); optimizer.step()", (Place.LEARNING,)),
)
SAMPLING = (
    ("net = ema_net.eval()", (Place.WEIGHTS, Place.MODE)),
    ("x = randn(B, …)", (Place.START,)),
    ("for t, s in pairs(T−1, …, 0):", (Place.LADDER,)),
    ("    output = net(x, t)      # guided: out_u + w·(out_c − out_u)", (Place.GUIDANCE,)),
    ("    x0 = (x − sigma[t]·output)/alpha[t]", (Place.PARAMETERIZATION, Place.SCHEDULE)),
    ("    x0 = x0.clamp(−1, 1)", (Place.CLIP,)),
    ("    x = alpha[s]·x0 + sqrt(sigma[s]² − std²)·eps", (Place.STEP,)),
    ("      + std·randn_like(x)      # none at the last step", (Place.STEP_NOISE,)),
    ("return x", (Place.OUTPUT,)),
)

#: The line as it should be.
LOOK_FOR = {
    Place.DATA: "x0 = 2 * pictures / 255 - 1            # finite, about [-1, 1], spread of about 1",
    Place.TIME_SAMPLING: "t = torch.randint(0, T, (B,))           # every t that sampling asks for",
    Place.NOISE: "eps = torch.randn_like(x0)              # drawn anew for every row of every batch",
    Place.FORWARD: "x_t = alpha_bar[t].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * eps",
    Place.TERMINAL: "betas = torch.linspace(1e-4, 0.02, 1000)  # with fewer steps scale them by 1000/T",
    Place.TIME: "output = net(x_t, t)                    # the t of x_t's own noise level, in training and sampling",
    Place.NETWORK: "h = f(x_t, embed(t))                    # each row by itself",
    Place.TARGET: "target = eps                            # the very eps that is in x_t",
    Place.PARAMETERIZATION: "eps: x0 = (x - sigma*out)/alpha;  v: x0 = alpha*x - sigma*out;  x0: x0 = out",
    Place.LOSS: "loss = F.mse_loss(output, target)       # of equal shapes",
    Place.LEARNING: "optimizer.zero_grad(); loss.backward(); optimizer.step()",
    Place.WEIGHTS: "ema.lerp_(p, 1 - decay)                 # after every step; a young average needs a smaller decay",
    Place.MODE: "net.eval()                              # before sampling; net.train() after it",
    Place.START: "x = torch.randn(B, ...)                 # sigma_max * randn where the variance explodes",
    Place.LADDER: "for t, s in zip(times[:-1], times[1:]):  # down to 0, coefficients of (t, s)",
    Place.STEP: "x_s = alpha_s * x0 + (sigma_s**2 - std**2).sqrt() * eps + std * z",
    Place.STEP_NOISE: "std = (beta * (1 - ab_prev) / (1 - ab)).sqrt();  z = torch.randn_like(x) if t > 0 else 0",
    Place.CLIP: "x0 = x0.clamp(-1, 1)                    # the range of the data, and of x0 alone",
    Place.SCHEDULE: "use the training's own alpha_bar in the sampler",
    Place.GUIDANCE: "out = out_u + w * (out_c - out_u)",
    Place.PRECISION: "betas = torch.linspace(1e-4, 0.02, T, dtype=torch.float64)",
    Place.OUTPUT: "pictures = (x.clamp(-1, 1) + 1) / 2",
}

#: A fault upstream makes what comes after it look wrong as well: place → places it explains.
_AFTER_TRAINING = (Place.LEARNING, Place.WEIGHTS, Place.OUTPUT, Place.NETWORK)
EXPLAINS: dict[Place, tuple[Place, ...]] = {
    Place.DATA: (Place.TARGET, Place.LOSS, Place.CLIP, Place.TERMINAL, Place.START, *_AFTER_TRAINING),
    Place.TIME_SAMPLING: (
        Place.TERMINAL,
        Place.TIME,
        Place.LADDER,
        Place.SCHEDULE,
        Place.STEP,
        Place.START,
        *_AFTER_TRAINING,
    ),
    Place.NOISE: (Place.TARGET, Place.LOSS, Place.FORWARD, Place.START, *_AFTER_TRAINING),
    Place.FORWARD: (
        Place.TERMINAL,
        Place.SCHEDULE,
        Place.STEP,
        Place.STEP_NOISE,
        Place.TIME,
        Place.START,
        Place.PARAMETERIZATION,
        Place.LADDER,
        Place.TARGET,
        *_AFTER_TRAINING,
    ),
    Place.PRECISION: (Place.FORWARD, Place.SCHEDULE, Place.STEP, Place.TERMINAL, Place.TIME, *_AFTER_TRAINING),
    Place.TIME: (
        Place.START,
        Place.TERMINAL,
        Place.STEP,
        Place.SCHEDULE,
        Place.LADDER,
        Place.STEP_NOISE,
        Place.NETWORK,
        *_AFTER_TRAINING,
    ),
    Place.TARGET: (Place.PARAMETERIZATION, Place.STEP, Place.LOSS, Place.SCHEDULE, *_AFTER_TRAINING),
    Place.LOSS: _AFTER_TRAINING,
    Place.LEARNING: (Place.OUTPUT, Place.WEIGHTS, Place.NETWORK, Place.TIME),
    Place.NETWORK: (Place.LEARNING, Place.OUTPUT, Place.TIME),
    Place.PARAMETERIZATION: (Place.STEP, Place.SCHEDULE, Place.OUTPUT),
    Place.LADDER: (Place.START, Place.STEP, Place.SCHEDULE, Place.STEP_NOISE, Place.TIME, Place.OUTPUT),
    Place.SCHEDULE: (Place.STEP, Place.STEP_NOISE, Place.TIME, Place.OUTPUT),
    Place.GUIDANCE: (Place.STEP, Place.OUTPUT),
    Place.STEP: (Place.STEP_NOISE, Place.CLIP, Place.OUTPUT),
    Place.STEP_NOISE: (Place.OUTPUT,),
    Place.CLIP: (Place.OUTPUT,),
    Place.TERMINAL: (Place.START, Place.OUTPUT),
    Place.START: (Place.OUTPUT,),
    Place.WEIGHTS: (Place.OUTPUT,),
    Place.MODE: (Place.OUTPUT,),
}

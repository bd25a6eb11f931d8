"""From a scene to pixels and files. Nothing here knows of diffusion."""

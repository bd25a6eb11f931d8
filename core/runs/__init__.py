"""From a recipe to what is seen: the one place where data, model, guidance, interventions, sampler and trace are
put together, for the page, the command line and the API alike."""

"""The multi-task estimator: age and gender of a face from its pixels.

    pixels     stored face -> square of the input size -> scaled values
    backbones  values -> features, one file a family
    heads      features -> an age distribution and a gender
    losses     what training minimises, each with its paper
    model      the four above, put together as the recipe says
    saved      the artifact: save, load, predict

Training, evaluation, registry and scoring meet in `saved`; only training needs the rest.
"""

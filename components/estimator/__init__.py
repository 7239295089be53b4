"""The multi-task estimator: age and gender of a face from its pixels.

- pixels: a stored face as a square of the input size, then as scaled values;
- backbones: from values to a feature map, one file a family;
- tfjs: graphs of TensorFlow.js with their weights, in which form some backbones are published;
- faceres: fetches one of them;
- heads: from features to an age distribution and a gender;
- losses: what training minimises, each with its paper;
- model: all of them, put together as the recipe says;
- backend: what computes, TensorFlow or JAX;
- classes: the names and ages of age classes;
- saved: the artifact: save, load, predict.

Training, evaluation, registry and scoring meet in `saved`; only training needs the rest.
"""

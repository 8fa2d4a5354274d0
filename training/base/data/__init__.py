"""What the base model learns from, from rendered pictures to training batches.

Read in the order of the data: `image_pool` (pictures), `samplers` (scenes and policies), `tasks` (questions
and answers), `examples` (tokens), `pixels` (image patches), `batches` (tensors of a training step).
"""

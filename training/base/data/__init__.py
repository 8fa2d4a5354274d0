"""What the base model learns from, from rendered pictures to training batches.

Read in the order of the data flow: `image_pool` (pictures), `samplers` (scenes and policies), `tasks`
(questions and answers), `examples` (tokens and loss weights), `pixels` (image patches), and `batches`.
"""

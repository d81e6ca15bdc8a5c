"""The parts that the models are made of. Tensors are (batch, length, dim) throughout."""

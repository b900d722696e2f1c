"""What the CPU does for a step on a GPU: measured on torch's `meta` device, whose tensors have no values."""


def main(settings: str) -> None:
    raise NotImplementedError

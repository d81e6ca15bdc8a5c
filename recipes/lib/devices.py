"""Print the number of GPUs and the best precision to train on them: bf16, fp16 on older ones, else fp32."""

import torch


def main() -> None:
    """Command line without options."""
    count = torch.cuda.device_count()
    major = min((torch.cuda.get_device_capability(index)[0] for index in range(count)), default=0)
    print(count, "bf16" if major >= 8 else "fp16" if major >= 7 else "fp32")


if __name__ == "__main__":
    main()

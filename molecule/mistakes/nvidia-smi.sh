#!/bin/sh
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A test double of nvidia-smi: a T4 with a driver of 2024, as that driver prints it. There is no GPU.
case "$*" in
--query-gpu=*)
    echo "0, GPU-5a1ea2c5-3b53-8f6c-8e75-b1f6a1f1a111, Tesla T4, 15360, 2, 7.5, 535.154.05, [N/A]"
    ;;
*COMPUTE*)
    echo "CUDA Version                              : 12.2"
    ;;
-L)
    echo "GPU 0: Tesla T4 (UUID: GPU-5a1ea2c5-3b53-8f6c-8e75-b1f6a1f1a111)"
    ;;
esac

#!/bin/bash
# The linker for arm64: Debian's cross compiler, without the option that the .NET SDK passes as if every cross compiler were clang.
args=()
for arg in "$@"; do
    [[ $arg == --target=* ]] || args+=("$arg")
done
exec aarch64-linux-gnu-gcc "${args[@]}"

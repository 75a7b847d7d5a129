#!/bin/sh
# Assembles every guest program with GNU as and ld (binutils for x86-64).
#
#   build.sh             into ../src/main/resources/guests, where the committed copies are
#   build.sh DIRECTORY   into another directory
#
# flat/NAME.s       -> NAME.bin: raw bytes, linked for 0x8000 and entered at its first byte
# multiboot/NAME.s  -> NAME.elf: an ELF image for 0x100000 whose headers are written in the source, so that the
#                      bytes do not depend on the linker's version; multiboot/NAME.s with ELF64 in it also makes NAME64.elf
set -eu
cd "$(dirname "$0")"
out=${1:-../src/main/resources/guests}
mkdir -p "$out"
object=$(mktemp)
trap 'rm -f "$object"' EXIT

# source, load address, output, assembler options
guest() {
    source=$1 address=$2 binary=$3
    shift 3
    as --64 -I "$(dirname "$source")" "$@" -o "$object" "$source"
    ld -m elf_x86_64 -nostdlib -Ttext="$address" -e start --oformat binary -o "$binary" "$object"
    chmod 644 "$binary"
}

for source in flat/*.s; do
    guest "$source" 0x8000 "$out/$(basename "$source" .s).bin"
done
for source in multiboot/*.s; do
    [ -e "$source" ] || continue
    guest "$source" 0x100000 "$out/$(basename "$source" .s).elf"
    if grep -q ELF64 "$source"; then
        guest "$source" 0x100000 "$out/$(basename "$source" .s)64.elf" --defsym ELF64=1
    fi
done

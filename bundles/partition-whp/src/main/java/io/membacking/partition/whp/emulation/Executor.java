package io.membacking.partition.whp.emulation;

import io.membacking.partition.whp.emulation.Interruption.Fault;
import io.membacking.partition.whp.emulation.Interruption.NotCovered;

/**
 * Carries an instruction out on a copy of the registers, from its start: what it asked of memory and devices before is answered
 * as before. One per attempt.
 *
 * @see <a href="https://www.intel.com/sdm">Intel SDM, volume 2</a>
 */
final class Executor {
    /** What memory and devices say; see {@link Emulation}. */
    interface Bus {
        /** @param linear of memory */
        long read(long linear, int size);

        void write(long linear, int size, long value);

        long readPort(int port, int size);

        void writePort(int port, int size, long value);
    }

    private final Cpu cpu;
    private final Instruction insn;
    private final Bus bus;
    private boolean repeats;

    Executor(Cpu cpu, Instruction insn, Bus bus) {
        this.cpu = cpu;
        this.insn = insn;
        this.bus = bus;
    }

    /** @return whether a string instruction is to be repeated; the instruction pointer stays then */
    boolean run() {
        long next = nextRip(insn.length());
        if (insn.isString()) {
            string();
        } else if (insn.map() == 0) {
            next = oneByte(next);
        } else if (insn.map() == 1) {
            twoBytes();
        } else {
            moveSwapped();
        }
        if (!repeats) {
            cpu.rip = next;
        }
        return repeats;
    }

    private long nextRip(int length) {
        long next = cpu.rip + length;
        return cpu.codeBits() == 64 ? next : cpu.codeBits() == 32 ? next & 0xffffffffL : next & 0xffff;
    }

    // Operands.

    private long offset() {
        long offset = insn.displacement();
        if (insn.base() == Instruction.RIP) {
            offset += cpu.rip + insn.length();
        } else if (insn.base() >= 0) {
            offset += cpu.general[insn.base()];
        }
        if (insn.index() >= 0) {
            offset += cpu.general[insn.index()] << insn.scale();
        }
        return offset & Flags.mask(insn.addressSize());
    }

    private long address() {
        return cpu.linear(insn.dataSegment(), offset());
    }

    private long register(int number, int size) {
        if (size == 1 && insn.rex() == 0 && number >= 4 && number < 8) {
            return cpu.general[number - 4] >>> 8 & 0xff; // AH, CH, DH, BH
        }
        return cpu.general[number] & Flags.mask(size);
    }

    private void setRegister(int number, int size, long value) {
        if (size == 1 && insn.rex() == 0 && number >= 4 && number < 8) {
            cpu.general[number - 4] = (cpu.general[number - 4] & ~0xff00L) | (value & 0xff) << 8;
        } else if (size >= 4) {
            cpu.general[number] = value & Flags.mask(size);
        } else {
            long mask = Flags.mask(size);
            cpu.general[number] = (cpu.general[number] & ~mask) | (value & mask);
        }
    }

    /** The operand that ModRM names, zero-extended. */
    private long operand(int size) {
        return insn.hasMemoryOperand() ? bus.read(address(), size) : register(insn.rm(), size);
    }

    private void setOperand(int size, long value) {
        if (insn.hasMemoryOperand()) {
            bus.write(address(), size, value & Flags.mask(size));
        } else {
            setRegister(insn.rm(), size, value);
        }
    }

    private void setFlags(long changed, long flags) {
        cpu.rflags = (cpu.rflags & ~changed) | (flags & changed);
    }

    private boolean carry() {
        return (cpu.rflags & Flags.CARRY) != 0;
    }

    // One-byte opcodes.

    /** @return where to go on */
    private long oneByte(long next) {
        int opcode = insn.opcode();
        int size = insn.size();
        if (opcode < 0x40) {
            arithmetic(opcode >> 3, size, (opcode & 2) != 0);
            return next;
        }
        switch (opcode & 0xfc) {
            case 0x50, 0x54 -> push(register((opcode & 7) | (insn.rex() & 1) << 3, stackSize()));
            case 0x58, 0x5c -> setRegister((opcode & 7) | (insn.rex() & 1) << 3, stackSize(), pop());
            case 0x80 -> arithmetic(insn.reg() & 7, opcode == 0x82 ? 1 : size, insn.immediate());
            case 0x88 -> move(size, (opcode & 2) != 0);
            case 0xa0 -> moveAtOffset(size, (opcode & 2) != 0);
            case 0xd0 -> shift(size, (opcode & 2) != 0 ? cpu.general[Cpu.RCX] : 1);
            case 0xe4, 0xec -> port(opcode, (opcode & 8) != 0);
            default -> {
                return more(next, opcode, size);
            }
        }
        return next;
    }

    private long more(long next, int opcode, int size) {
        switch (opcode) {
            case 0x63 -> setRegister(insn.reg(), insn.operandSize(), Flags.signExtend(operand(4), 4));
            case 0x68, 0x6a -> push(insn.immediate());
            case 0x69, 0x6b -> multiply(operand(insn.operandSize()), insn.immediate());
            case 0x84, 0x85 -> logic(operand(size) & register(insn.reg(), size), size);
            case 0x86, 0x87 -> {
                long old = operand(size);
                setOperand(size, register(insn.reg(), size));
                setRegister(insn.reg(), size, old);
            }
            case 0x8c -> {
                int width = insn.hasMemoryOperand() ? 2 : insn.operandSize();
                setOperand(width, cpu.selectors[insn.reg() & 7]);
            }
            case 0x8f -> popToOperand();
            case 0xc0, 0xc1 -> shift(size, insn.immediate());
            case 0xc2 -> {
                long target = pop();
                long pointer = cpu.general[Cpu.RSP] + (insn.immediate() & 0xffff);
                setStackPointer(pointer);
                return target;
            }
            case 0xc3 -> {
                return pop();
            }
            case 0xc6, 0xc7 -> setOperand(size, insn.immediate());
            case 0xe8 -> {
                push(next);
                return nextRip(insn.length() + (int) insn.immediate()) & branchMask();
            }
            case 0xf6, 0xf7 -> unary(size);
            case 0xfe, 0xff -> {
                return group5(next, size);
            }
            default -> throw notCovered();
        }
        return next;
    }

    private NotCovered notCovered() {
        return new NotCovered("the instruction is not emulated");
    }

    private long branchMask() {
        return cpu.codeBits() == 64 ? -1 : Flags.mask(insn.operandSize());
    }

    private void move(int size, boolean toRegister) {
        if (toRegister) {
            setRegister(insn.reg(), size, operand(size));
        } else {
            setOperand(size, register(insn.reg(), size));
        }
    }

    private void moveAtOffset(int size, boolean fromAccumulator) {
        int segment = insn.segment() >= 0 ? insn.segment() : Cpu.DS;
        long address = cpu.linear(segment, insn.displacement() & Flags.mask(insn.addressSize()));
        if (fromAccumulator) {
            bus.write(address, size, register(Cpu.RAX, size));
        } else {
            setRegister(Cpu.RAX, size, bus.read(address, size));
        }
    }

    private void arithmetic(int operation, int size, boolean toRegister) {
        if (toRegister) {
            long result = compute(operation, register(insn.reg(), size), operand(size), size);
            if (operation != 7) {
                setRegister(insn.reg(), size, result);
            }
        } else {
            arithmetic(operation, size, register(insn.reg(), size));
        }
    }

    private void arithmetic(int operation, int size, long source) {
        long result = compute(operation, operand(size), source & Flags.mask(size), size);
        if (operation != 7) {
            setOperand(size, result);
        }
    }

    /** ADD, OR, ADC, SBB, AND, SUB, XOR, CMP. */
    private long compute(int operation, long a, long b, int size) {
        long mask = Flags.mask(size);
        switch (operation) {
            case 0, 2 -> {
                long result = a + b + (operation == 2 && carry() ? 1 : 0) & mask;
                setFlags(Flags.ALL, Flags.add(a, b, result, size));
                return result;
            }
            case 3, 5, 7 -> {
                long result = a - b - (operation == 3 && carry() ? 1 : 0) & mask;
                setFlags(Flags.ALL, Flags.subtract(a, b, result, size));
                return result;
            }
            case 1 -> {
                return logic(a | b, size);
            }
            case 4 -> {
                return logic(a & b, size);
            }
            default -> {
                return logic(a ^ b, size);
            }
        }
    }

    private long logic(long result, int size) {
        setFlags(Flags.ALL, Flags.ofResult(result, size));
        return result;
    }

    private void multiply(long a, long b) {
        int size = insn.operandSize();
        long first = Flags.signExtend(a, size);
        long second = Flags.signExtend(b, size);
        long result = first * second;
        boolean fits =
                size == 8 ? Math.multiplyHigh(first, second) == result >> 63 : Flags.signExtend(result, size) == result;
        setRegister(insn.reg(), size, result);
        setFlags(Flags.CARRY | Flags.OVERFLOW, fits ? 0 : Flags.CARRY | Flags.OVERFLOW);
    }

    private void unary(int size) {
        long value = operand(size);
        switch (insn.reg() & 7) {
            case 0, 1 -> logic(value & insn.immediate() & Flags.mask(size), size);
            case 2 -> setOperand(size, ~value);
            case 3 -> {
                long result = -value & Flags.mask(size);
                setFlags(Flags.ALL, Flags.subtract(0, value, result, size));
                setOperand(size, result);
            }
            case 4 -> multiplyAccumulator(value, size, false);
            case 5 -> multiplyAccumulator(value, size, true);
            case 6 -> divide(value, size, false);
            default -> divide(value, size, true);
        }
    }

    private void multiplyAccumulator(long value, int size, boolean signed) {
        long a = register(Cpu.RAX, size);
        long low;
        long high;
        if (size == 8) {
            low = a * value;
            high = Math.multiplyHigh(a, value);
            if (!signed) {
                high += (a >> 63 & value) + (value >> 63 & a);
            }
        } else {
            long product = signed ? Flags.signExtend(a, size) * Flags.signExtend(value, size) : a * value;
            low = product & Flags.mask(size);
            high = product >>> (8 * size) & Flags.mask(size);
        }
        if (size == 1) {
            setRegister(Cpu.RAX, 2, high << 8 | low);
        } else {
            setRegister(Cpu.RAX, size, low);
            setRegister(Cpu.RDX, size, high);
        }
        long fill = signed && Flags.top(low, size) ? Flags.mask(size) : 0;
        setFlags(Flags.CARRY | Flags.OVERFLOW, high == fill ? 0 : Flags.CARRY | Flags.OVERFLOW);
    }

    private void divide(long divisor, int size, boolean signed) {
        if (divisor == 0) {
            throw Fault.divideError();
        }
        if (size == 8) {
            throw new NotCovered("a division of 128 bits is not emulated");
        }
        long dividend;
        if (size == 1) {
            dividend = cpu.general[Cpu.RAX] & 0xffff;
        } else {
            dividend = register(Cpu.RDX, size) << (8 * size) | register(Cpu.RAX, size);
        }
        long quotient;
        long remainder;
        if (signed) {
            long from = Flags.signExtend(dividend, 2 * size);
            long by = Flags.signExtend(divisor, size);
            if (from == Long.MIN_VALUE && by == -1) {
                throw Fault.divideError();
            }
            quotient = from / by;
            remainder = from % by;
            if (Flags.signExtend(quotient, size) != quotient) {
                throw Fault.divideError();
            }
        } else {
            quotient = Long.divideUnsigned(dividend, divisor);
            remainder = Long.remainderUnsigned(dividend, divisor);
            if (Long.compareUnsigned(quotient, Flags.mask(size)) > 0) {
                throw Fault.divideError();
            }
        }
        if (size == 1) {
            setRegister(Cpu.RAX, 2, (remainder & 0xff) << 8 | (quotient & 0xff));
        } else {
            setRegister(Cpu.RAX, size, quotient);
            setRegister(Cpu.RDX, size, remainder);
        }
    }

    /** INC, DEC, CALL, JMP, PUSH. @return where to go on */
    private long group5(long next, int size) {
        if (size == 1 && (insn.reg() & 7) > 1) {
            throw notCovered();
        }
        switch (insn.reg() & 7) {
            case 0, 1 -> {
                boolean up = (insn.reg() & 7) == 0;
                long value = operand(size);
                long result = value + (up ? 1 : -1) & Flags.mask(size);
                long flags = up ? Flags.add(value, 1, result, size) : Flags.subtract(value, 1, result, size);
                setFlags(Flags.ALL & ~Flags.CARRY, flags);
                setOperand(size, result);
            }
            case 2 -> {
                long target = operand(stackSize());
                push(next);
                return target;
            }
            case 4 -> {
                return operand(stackSize());
            }
            case 6 -> push(operand(stackSize()));
            default -> throw notCovered();
        }
        return next;
    }

    // Shifts and rotations.

    private void shift(int size, long count) {
        int bits = 8 * size;
        int by = (int) count & (size == 8 ? 63 : 31);
        long value = operand(size);
        if (by == 0) {
            setOperand(size, value);
            return;
        }
        long mask = Flags.mask(size);
        long result;
        boolean carry;
        boolean rotates = true;
        switch (insn.reg() & 7) {
            case 0 -> {
                int turn = by % bits;
                result = turn == 0 ? value : (value << turn | value >>> (bits - turn)) & mask;
                carry = (result & 1) != 0;
            }
            case 1 -> {
                int turn = by % bits;
                result = turn == 0 ? value : (value >>> turn | value << (bits - turn)) & mask;
                carry = Flags.top(result, size);
            }
            case 2, 3 -> {
                boolean left = (insn.reg() & 7) == 2;
                result = value;
                carry = carry();
                for (int i = by % (bits + 1); i > 0; i--) {
                    boolean out = left ? Flags.top(result, size) : (result & 1) != 0;
                    long in = carry ? 1 : 0;
                    result = left ? (result << 1 | in) & mask : result >>> 1 | in << (bits - 1);
                    carry = out;
                }
            }
            case 5 -> {
                result = by >= bits ? 0 : value >>> by;
                carry = by <= bits && (value >>> (by - 1) & 1) != 0;
                rotates = false;
            }
            case 7 -> {
                long signed = Flags.signExtend(value, size);
                result = signed >> Math.min(by, 63) & mask;
                carry = (signed >> Math.min(by - 1, 63) & 1) != 0;
                rotates = false;
            }
            default -> {
                result = by >= bits ? 0 : value << by & mask;
                carry = by <= bits && (value >>> (bits - by) & 1) != 0;
                rotates = false;
            }
        }
        boolean overflow =
                switch (insn.reg() & 7) {
                    case 0, 2, 4, 6 -> Flags.top(result, size) ^ carry;
                    case 1, 3 -> Flags.top(result, size) ^ Flags.top(result << 1, size);
                    case 5 -> Flags.top(value, size);
                    default -> false;
                };
        long flags = (carry ? Flags.CARRY : 0) | (overflow ? Flags.OVERFLOW : 0);
        if (rotates) {
            setFlags(Flags.CARRY | Flags.OVERFLOW, flags);
        } else {
            setFlags(Flags.ALL & ~Flags.ADJUST, flags | Flags.ofResult(result, size));
        }
        setOperand(size, result);
    }

    /** SHLD, SHRD. */
    private void doubleShift(boolean left, long count) {
        int size = insn.operandSize();
        int bits = 8 * size;
        int by = (int) count & (size == 8 ? 63 : 31);
        long value = operand(size);
        long other = register(insn.reg(), size);
        if (by == 0 || by > bits) {
            setOperand(size, value); // beyond the operand the result is undefined
            return;
        }
        long result;
        boolean carry;
        if (left) {
            result = by == bits ? other : (value << by | other >>> (bits - by)) & Flags.mask(size);
            carry = (value >>> (bits - by) & 1) != 0;
        } else {
            result = by == bits ? other : (value >>> by | other << (bits - by)) & Flags.mask(size);
            carry = (value >>> (by - 1) & 1) != 0;
        }
        boolean overflow = Flags.top(result ^ value, size);
        setFlags(
                Flags.ALL & ~Flags.ADJUST,
                (carry ? Flags.CARRY : 0) | (overflow ? Flags.OVERFLOW : 0) | Flags.ofResult(result, size));
        setOperand(size, result);
    }

    // The stack.

    private int stackSize() {
        return cpu.codeBits() == 64 && insn.operandSize() == 4 ? 8 : insn.operandSize();
    }

    private void setStackPointer(long value) {
        int size = cpu.stackAddressSize();
        long mask = Flags.mask(size);
        cpu.general[Cpu.RSP] = size == 8 ? value : (cpu.general[Cpu.RSP] & ~mask) | (value & mask);
    }

    private long stackTop() {
        return cpu.linear(Cpu.SS, cpu.general[Cpu.RSP] & Flags.mask(cpu.stackAddressSize()));
    }

    private void push(long value) {
        int size = stackSize();
        setStackPointer(cpu.general[Cpu.RSP] - size);
        bus.write(stackTop(), size, value & Flags.mask(size));
    }

    private long pop() {
        int size = stackSize();
        long value = bus.read(stackTop(), size);
        setStackPointer(cpu.general[Cpu.RSP] + size);
        return value;
    }

    private void popToOperand() {
        if ((insn.reg() & 7) != 0) {
            throw notCovered();
        }
        long value = pop();
        setOperand(stackSize(), value); // its address counts the new stack pointer
    }

    // Ports.

    private void port(int opcode, boolean inDx) {
        int size = Math.min(insn.size(), 4);
        int port = inDx ? (int) (cpu.general[Cpu.RDX] & 0xffff) : (int) (insn.immediate() & 0xff);
        if ((opcode & 2) == 0) {
            setRegister(Cpu.RAX, size, bus.readPort(port, size));
        } else {
            bus.writePort(port, size, register(Cpu.RAX, size));
        }
    }

    // Strings: one item at a time.

    private void string() {
        int opcode = insn.opcode();
        int size = insn.size();
        if (opcode < 0x70) {
            size = Math.min(size, 4);
        }
        boolean counted = insn.repeat() != 0;
        long count = cpu.general[Cpu.RCX] & Flags.mask(insn.addressSize());
        if (counted && count == 0) {
            return;
        }
        stringItem(opcode, size);
        if (!counted) {
            return;
        }
        count = count - 1 & Flags.mask(insn.addressSize());
        setPointer(Cpu.RCX, count);
        boolean compares = opcode == 0xa6 || opcode == 0xa7 || opcode == 0xae || opcode == 0xaf;
        boolean equal = (cpu.rflags & Flags.ZERO) != 0;
        repeats = count != 0 && (!compares || equal == (insn.repeat() == 0xf3));
    }

    private void stringItem(int opcode, int size) {
        int port = (int) (cpu.general[Cpu.RDX] & 0xffff);
        switch (opcode & 0xfe) {
            case 0x6c -> {
                long target = target();
                bus.write(target, size, bus.readPort(port, size));
                step(Cpu.RDI, size);
            }
            case 0x6e -> {
                bus.writePort(port, size, bus.read(source(), size));
                step(Cpu.RSI, size);
            }
            case 0xa4 -> {
                bus.write(target(), size, bus.read(source(), size));
                step(Cpu.RSI, size);
                step(Cpu.RDI, size);
            }
            case 0xa6 -> {
                long first = bus.read(source(), size);
                compute(7, first, bus.read(target(), size), size);
                step(Cpu.RSI, size);
                step(Cpu.RDI, size);
            }
            case 0xaa -> {
                bus.write(target(), size, register(Cpu.RAX, size));
                step(Cpu.RDI, size);
            }
            case 0xac -> {
                setRegister(Cpu.RAX, size, bus.read(source(), size));
                step(Cpu.RSI, size);
            }
            default -> {
                compute(7, register(Cpu.RAX, size), bus.read(target(), size), size);
                step(Cpu.RDI, size);
            }
        }
    }

    private long source() {
        int segment = insn.segment() >= 0 ? insn.segment() : Cpu.DS;
        return cpu.linear(segment, cpu.general[Cpu.RSI] & Flags.mask(insn.addressSize()));
    }

    private long target() {
        return cpu.linear(Cpu.ES, cpu.general[Cpu.RDI] & Flags.mask(insn.addressSize()));
    }

    private void step(int register, int size) {
        boolean down = (cpu.rflags & Flags.DIRECTION) != 0;
        setPointer(register, cpu.general[register] + (down ? -size : size));
    }

    private void setPointer(int register, long value) {
        int size = insn.addressSize();
        if (size == 2) {
            cpu.general[register] = (cpu.general[register] & ~0xffffL) | (value & 0xffff);
        } else {
            cpu.general[register] = value & Flags.mask(size);
        }
    }

    // Two-byte opcodes.

    private void twoBytes() {
        int opcode = insn.opcode();
        int size = insn.operandSize();
        if (opcode >= 0x40 && opcode < 0x50) {
            long value = operand(size);
            boolean holds = Flags.holds(opcode & 0xf, cpu.rflags);
            setRegister(insn.reg(), size, holds ? value : register(insn.reg(), size));
            return;
        }
        if (opcode >= 0x90 && opcode < 0xa0) {
            setOperand(1, Flags.holds(opcode & 0xf, cpu.rflags) ? 1 : 0);
            return;
        }
        switch (opcode) {
            case 0xa3, 0xab, 0xb3, 0xbb -> bit(opcode >> 3 & 3, register(insn.reg(), size), true);
            case 0xba -> {
                if ((insn.reg() & 7) < 4) {
                    throw notCovered();
                }
                bit(insn.reg() & 3, insn.immediate() & 8L * size - 1, false);
            }
            case 0xa4 -> doubleShift(true, insn.immediate());
            case 0xa5 -> doubleShift(true, cpu.general[Cpu.RCX]);
            case 0xac -> doubleShift(false, insn.immediate());
            case 0xad -> doubleShift(false, cpu.general[Cpu.RCX]);
            case 0xaf -> multiply(register(insn.reg(), size), operand(size));
            case 0xb0, 0xb1 -> compareExchange(insn.size());
            case 0xc0, 0xc1 -> exchangeAdd(insn.size());
            case 0xb6 -> setRegister(insn.reg(), size, operand(1));
            case 0xb7 -> setRegister(insn.reg(), size, operand(2));
            case 0xbe -> setRegister(insn.reg(), size, Flags.signExtend(operand(1), 1));
            case 0xbf -> setRegister(insn.reg(), size, Flags.signExtend(operand(2), 2));
            case 0xbc, 0xbd -> scan(opcode == 0xbd);
            case 0xc3 -> setOperand(size, register(insn.reg(), size));
            case 0xc7 -> compareExchangeDouble();
            default -> vector(opcode);
        }
    }

    /** BT, BTS, BTR, BTC. @param addressed whether a bit beyond the operand lies in the memory around it */
    private void bit(int operation, long bit, boolean addressed) {
        int size = insn.operandSize();
        int inOperand = (int) bit & 8 * size - 1;
        long value;
        long address = 0;
        if (insn.hasMemoryOperand()) {
            long beyond = addressed ? (Flags.signExtend(bit, size) - inOperand) / 8 : 0;
            long offset = offset() + beyond & Flags.mask(insn.addressSize());
            address = cpu.linear(insn.dataSegment(), offset);
            value = bus.read(address, size);
        } else {
            value = register(insn.rm(), size);
        }
        long mask = 1L << inOperand;
        setFlags(Flags.CARRY, (value & mask) != 0 ? Flags.CARRY : 0);
        long result =
                switch (operation) {
                    case 1 -> value | mask;
                    case 2 -> value & ~mask;
                    case 3 -> value ^ mask;
                    default -> value;
                };
        if (operation == 0) {
            return;
        }
        if (insn.hasMemoryOperand()) {
            bus.write(address, size, result);
        } else {
            setRegister(insn.rm(), size, result);
        }
    }

    private void scan(boolean reverse) {
        if (insn.repeat() == 0xf3) {
            throw notCovered(); // TZCNT and LZCNT, where there are such
        }
        int size = insn.operandSize();
        long value = operand(size);
        setFlags(Flags.ZERO, value == 0 ? Flags.ZERO : 0);
        if (value != 0) {
            setRegister(
                    insn.reg(),
                    size,
                    reverse ? 63 - Long.numberOfLeadingZeros(value) : Long.numberOfTrailingZeros(value));
        }
    }

    private void compareExchange(int size) {
        long old = operand(size);
        long expected = register(Cpu.RAX, size);
        compute(7, expected, old, size);
        if (old == expected) {
            setOperand(size, register(insn.reg(), size));
        } else {
            setOperand(size, old); // the processor writes in any case
            setRegister(Cpu.RAX, size, old);
        }
    }

    private void compareExchangeDouble() {
        if ((insn.reg() & 7) != 1 || !insn.hasMemoryOperand() || (insn.rex() & 8) != 0) {
            throw notCovered();
        }
        long old = bus.read(address(), 8);
        long expected = register(Cpu.RDX, 4) << 32 | register(Cpu.RAX, 4);
        if (old == expected) {
            bus.write(address(), 8, register(Cpu.RCX, 4) << 32 | register(Cpu.RBX, 4));
            setFlags(Flags.ZERO, Flags.ZERO);
        } else {
            bus.write(address(), 8, old);
            setRegister(Cpu.RAX, 4, old);
            setRegister(Cpu.RDX, 4, old >>> 32);
            setFlags(Flags.ZERO, 0);
        }
    }

    private void exchangeAdd(int size) {
        long old = operand(size);
        long sum = compute(0, old, register(insn.reg(), size), size);
        setRegister(insn.reg(), size, old);
        setOperand(size, sum);
    }

    /** MOVBE. */
    private void moveSwapped() {
        if (insn.repeat() != 0 || !insn.hasMemoryOperand()) {
            throw notCovered(); // CRC32
        }
        int size = insn.operandSize();
        int unused = 64 - 8 * size;
        if (insn.opcode() == 0xf0) {
            setRegister(insn.reg(), size, Long.reverseBytes(operand(size)) >>> unused);
        } else {
            setOperand(size, Long.reverseBytes(register(insn.reg(), size)) >>> unused);
        }
    }

    // XMM registers.

    private void vector(int opcode) {
        if (!insn.hasMemoryOperand()) {
            throw notCovered();
        }
        boolean prefix = insn.operandPrefix() || insn.repeat() != 0;
        switch (opcode) {
            case 0x10 -> loadVector(insn.repeat() == 0xf3 ? 4 : insn.repeat() == 0xf2 ? 8 : 16);
            case 0x11 -> storeVector(insn.repeat() == 0xf3 ? 4 : insn.repeat() == 0xf2 ? 8 : 16, 0);
            case 0x28 -> loadVector(16);
            case 0x29, 0x2b -> storeVector(16, 0);
            case 0xe7 -> {
                requirePrefix(insn.operandPrefix());
                storeVector(16, 0);
            }
            case 0xf0 -> {
                requirePrefix(insn.repeat() == 0xf2);
                loadVector(16);
            }
            case 0x6f -> {
                requirePrefix(prefix);
                loadVector(16);
            }
            case 0x7f -> {
                requirePrefix(prefix);
                storeVector(16, 0);
            }
            case 0x6e -> {
                requirePrefix(insn.operandPrefix());
                loadVector(insn.operandSize() == 8 ? 8 : 4);
            }
            case 0x7e -> {
                requirePrefix(prefix);
                if (insn.repeat() == 0xf3) {
                    loadVector(8);
                } else {
                    storeVector(insn.operandSize() == 8 ? 8 : 4, 0);
                }
            }
            case 0xd6 -> {
                requirePrefix(insn.operandPrefix());
                storeVector(8, 0);
            }
            case 0x12, 0x16 -> {
                requirePrefix(insn.repeat() == 0);
                long[] value = cpu.vector(insn.reg());
                value[opcode == 0x16 ? 1 : 0] = bus.read(address(), 8);
                cpu.writtenVectors.put(insn.reg(), value);
            }
            case 0x13 -> storeVector(8, 0);
            case 0x17 -> storeVector(8, 1);
            default -> throw notCovered();
        }
    }

    /** Without its prefix it moves a register of the x87 unit, or is another instruction. */
    private void requirePrefix(boolean present) {
        if (!present) {
            throw notCovered();
        }
    }

    private void loadVector(int size) {
        long[] value = new long[2];
        value[0] = bus.read(address(), Math.min(size, 8));
        if (size == 16) {
            value[1] = bus.read(nextHalf(), 8);
        }
        cpu.writtenVectors.put(insn.reg(), value);
    }

    private void storeVector(int size, int half) {
        long[] value = cpu.vector(insn.reg());
        bus.write(address(), Math.min(size, 8), value[half] & Flags.mask(Math.min(size, 8)));
        if (size == 16) {
            bus.write(nextHalf(), 8, value[1]);
        }
    }

    private long nextHalf() {
        return cpu.linear(insn.dataSegment(), offset() + 8 & Flags.mask(insn.addressSize()));
    }
}

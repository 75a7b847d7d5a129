package io.membacking.partition.reference;

import java.math.BigInteger;

/** Addition to division, logic, comparison and exchange. */
final class Arithmetic {
    private static final BigInteger TWO_64 = BigInteger.ONE.shiftLeft(64);

    private Arithmetic() {}

    // What becomes of an operand.

    static long add(Core core, long a, long b, int size) {
        long result = (a + b) & Alu.mask(size);
        core.r.setStatus(Alu.addFlags(a, b, result, size));
        return result;
    }

    static long or(Core core, long a, long b, int size) {
        long result = a | b;
        core.r.setStatus(Alu.resultFlags(result, size));
        return result;
    }

    static long addCarry(Core core, long a, long b, int size) {
        long result = (a + b + (core.r.flags & Flags.CF)) & Alu.mask(size);
        core.r.setStatus(Alu.addFlags(a, b, result, size));
        return result;
    }

    static long subtractBorrow(Core core, long a, long b, int size) {
        long result = (a - b - (core.r.flags & Flags.CF)) & Alu.mask(size);
        core.r.setStatus(Alu.subFlags(a, b, result, size));
        return result;
    }

    static long and(Core core, long a, long b, int size) {
        long result = a & b;
        core.r.setStatus(Alu.resultFlags(result, size));
        return result;
    }

    static long subtract(Core core, long a, long b, int size) {
        long result = (a - b) & Alu.mask(size);
        core.r.setStatus(Alu.subFlags(a, b, result, size));
        return result;
    }

    static long xor(Core core, long a, long b, int size) {
        long result = a ^ b;
        core.r.setStatus(Alu.resultFlags(result, size));
        return result;
    }

    private static long increment(Core core, long a, long one, int size) {
        long result = (a + 1) & Alu.mask(size);
        int carry = core.r.flags & Flags.CF;
        core.r.setStatus((Alu.addFlags(a, 1, result, size) & ~Flags.CF) | carry);
        return result;
    }

    private static long decrement(Core core, long a, long one, int size) {
        long result = (a - 1) & Alu.mask(size);
        int carry = core.r.flags & Flags.CF;
        core.r.setStatus((Alu.subFlags(a, 1, result, size) & ~Flags.CF) | carry);
        return result;
    }

    private static long not(Core core, long a, long none, int size) {
        return ~a & Alu.mask(size);
    }

    private static long negate(Core core, long a, long none, int size) {
        return subtract(core, 0, a, size);
    }

    // Operations, by the shape of their operands.

    static Operation rmWithRegister(Core.Change change) {
        return (core, in) -> core.modify(in, change, core.r.get(in.register(), in.size));
    }

    static Operation registerWithRm(Core.Change change) {
        return (core, in) -> {
            long other = core.load(in);
            int register = in.register();
            long value = core.r.get(register, in.size);
            core.r.set(register, in.size, change.apply(core, value, other, in.size));
        };
    }

    static Operation rmWithImmediate(Core.Change change) {
        return (core, in) -> core.modify(in, change, in.immediate & Alu.mask(in.size));
    }

    static Operation accumulatorWithImmediate(Core.Change change) {
        return (core, in) -> {
            long value = core.r.get(Registers.RAX, in.size);
            core.r.set(Registers.RAX, in.size, change.apply(core, value, in.immediate & Alu.mask(in.size), in.size));
        };
    }

    static void compareRmWithRegister(Core core, Instruction in) {
        subtract(core, core.load(in), core.r.get(in.register(), in.size), in.size);
    }

    static void compareRegisterWithRm(Core core, Instruction in) {
        subtract(core, core.r.get(in.register(), in.size), core.load(in), in.size);
    }

    static void compareRmWithImmediate(Core core, Instruction in) {
        subtract(core, core.load(in), in.immediate & Alu.mask(in.size), in.size);
    }

    static void compareAccumulator(Core core, Instruction in) {
        subtract(core, core.r.get(Registers.RAX, in.size), in.immediate & Alu.mask(in.size), in.size);
    }

    static void testRmWithRegister(Core core, Instruction in) {
        and(core, core.load(in), core.r.get(in.register(), in.size), in.size);
    }

    static void testRmWithImmediate(Core core, Instruction in) {
        and(core, core.load(in), in.immediate & Alu.mask(in.size), in.size);
    }

    static void testAccumulator(Core core, Instruction in) {
        and(core, core.r.get(Registers.RAX, in.size), in.immediate & Alu.mask(in.size), in.size);
    }

    static void incrementRm(Core core, Instruction in) {
        core.modify(in, Arithmetic::increment, 1);
    }

    static void decrementRm(Core core, Instruction in) {
        core.modify(in, Arithmetic::decrement, 1);
    }

    static void notRm(Core core, Instruction in) {
        core.modify(in, Arithmetic::not, 0);
    }

    static void negateRm(Core core, Instruction in) {
        core.modify(in, Arithmetic::negate, 0);
    }

    // Multiplication and division.

    static void multiply(Core core, Instruction in) {
        Registers r = core.r;
        int size = in.size;
        long a = r.get(Registers.RAX, size);
        long b = core.load(in);
        long low = a * b;
        long high = size == 8 ? Alu.multiplyHighUnsigned(a, b) : low >>> (8 * size) & Alu.mask(size);
        setProduct(r, size, low & Alu.mask(size), high, high != 0);
    }

    static void multiplySigned(Core core, Instruction in) {
        Registers r = core.r;
        int size = in.size;
        long a = Alu.signExtend(r.get(Registers.RAX, size), size);
        long b = Alu.signExtend(core.load(in), size);
        long low = a * b;
        long high = size == 8 ? Math.multiplyHigh(a, b) : low >> (8 * size);
        setProduct(
                r,
                size,
                low & Alu.mask(size),
                high & Alu.mask(size),
                high != Alu.signExtend(low & Alu.mask(size), size) >> 63);
    }

    private static void setProduct(Registers r, int size, long low, long high, boolean overflow) {
        if (size == 1) {
            r.set(Registers.RAX, 2, high << 8 | low);
        } else {
            r.set(Registers.RAX, size, low);
            r.set(Registers.RDX, size, high);
        }
        r.setStatus((Alu.resultFlags(low, size) & ~Flags.ZF) | (overflow ? Flags.CF | Flags.OF : 0));
    }

    static void multiplyRegister(Core core, Instruction in) {
        multiplyInto(core, in, core.r.get(in.reg, in.size), core.load(in));
    }

    static void multiplyImmediate(Core core, Instruction in) {
        multiplyInto(core, in, core.load(in), in.immediate);
    }

    private static void multiplyInto(Core core, Instruction in, long first, long second) {
        int size = in.size;
        long a = Alu.signExtend(first, size);
        long b = Alu.signExtend(second, size);
        long low = a * b;
        long high = size == 8 ? Math.multiplyHigh(a, b) : low >> (8 * size);
        long result = low & Alu.mask(size);
        boolean overflow = high != Alu.signExtend(result, size) >> 63;
        core.r.set(in.reg, size, result);
        core.r.setStatus((Alu.resultFlags(result, size) & ~Flags.ZF) | (overflow ? Flags.CF | Flags.OF : 0));
    }

    static void divide(Core core, Instruction in) {
        Registers r = core.r;
        int size = in.size;
        long divisor = core.load(in);
        if (divisor == 0) {
            throw divideError();
        }
        long quotient;
        long remainder;
        if (size == 8) {
            long high = r.general[Registers.RDX];
            long low = r.general[Registers.RAX];
            if (Long.compareUnsigned(high, divisor) >= 0) {
                throw divideError();
            }
            if (high == 0) {
                quotient = Long.divideUnsigned(low, divisor);
                remainder = Long.remainderUnsigned(low, divisor);
            } else {
                BigInteger[] parts =
                        unsigned(high).multiply(TWO_64).add(unsigned(low)).divideAndRemainder(unsigned(divisor));
                quotient = parts[0].longValue();
                remainder = parts[1].longValue();
            }
        } else {
            long dividend = dividend(r, size);
            quotient = Long.divideUnsigned(dividend, divisor);
            remainder = Long.remainderUnsigned(dividend, divisor);
            if (Long.compareUnsigned(quotient, Alu.mask(size)) > 0) {
                throw divideError();
            }
        }
        setQuotient(r, size, quotient, remainder);
    }

    static void divideSigned(Core core, Instruction in) {
        Registers r = core.r;
        int size = in.size;
        long divisor = Alu.signExtend(core.load(in), size);
        if (divisor == 0) {
            throw divideError();
        }
        long quotient;
        long remainder;
        if (size == 8) {
            long high = r.general[Registers.RDX];
            long low = r.general[Registers.RAX];
            if (high == low >> 63) {
                if (low == Long.MIN_VALUE && divisor == -1) {
                    throw divideError();
                }
                quotient = low / divisor;
                remainder = low % divisor;
            } else {
                BigInteger[] parts = BigInteger.valueOf(high)
                        .multiply(TWO_64)
                        .add(unsigned(low))
                        .divideAndRemainder(BigInteger.valueOf(divisor));
                if (parts[0].bitLength() > 63) {
                    throw divideError();
                }
                quotient = parts[0].longValue();
                remainder = parts[1].longValue();
            }
        } else {
            long dividend = Alu.signExtend(dividend(r, size), 2 * size);
            if (dividend == Long.MIN_VALUE && divisor == -1) {
                throw divideError();
            }
            quotient = dividend / divisor;
            remainder = dividend % divisor;
            if (quotient != Alu.signExtend(quotient & Alu.mask(size), size)) {
                throw divideError();
            }
        }
        setQuotient(r, size, quotient, remainder);
    }

    private static long dividend(Registers r, int size) {
        return size == 1
                ? r.get(Registers.RAX, 2)
                : r.get(Registers.RDX, size) << (8 * size) | r.get(Registers.RAX, size);
    }

    private static void setQuotient(Registers r, int size, long quotient, long remainder) {
        if (size == 1) {
            r.set(Registers.RAX, 2, (remainder & 0xff) << 8 | (quotient & 0xff));
        } else {
            r.set(Registers.RAX, size, quotient);
            r.set(Registers.RDX, size, remainder);
        }
    }

    private static BigInteger unsigned(long value) {
        return value >= 0
                ? BigInteger.valueOf(value)
                : BigInteger.valueOf(value).add(TWO_64);
    }

    private static GuestFault divideError() {
        return new GuestFault(GuestFault.DIVIDE_ERROR, GuestFault.NO_CODE);
    }

    // Exchange.

    static void exchange(Core core, Instruction in) {
        Registers r = core.r;
        int size = in.size;
        int register = in.register();
        long value = r.get(register, size);
        if (!in.memory) {
            long other = core.load(in);
            r.set(in.rmRegister(), size, value);
            r.set(register, size, other);
            return;
        }
        long[] old = new long[1];
        core.modify(
                core.linear(in, size, true),
                size,
                true,
                (c, a, b, s) -> {
                    old[0] = a;
                    return b;
                },
                value);
        r.set(register, size, old[0]);
    }

    static void exchangeAndAdd(Core core, Instruction in) {
        Registers r = core.r;
        int size = in.size;
        int register = in.register();
        long value = r.get(register, size);
        if (!in.memory) {
            long other = core.load(in);
            long sum = add(core, other, value, size);
            r.set(register, size, other);
            r.set(in.rmRegister(), size, sum);
            return;
        }
        long[] old = new long[1];
        core.modify(
                in,
                (c, a, b, s) -> {
                    old[0] = a;
                    return add(c, a, b, s);
                },
                value);
        r.set(register, size, old[0]);
    }

    static void compareAndExchange(Core core, Instruction in) {
        Registers r = core.r;
        int size = in.size;
        long expected = r.get(Registers.RAX, size);
        long value = r.get(in.register(), size);
        long[] old = new long[1];
        if (in.memory) {
            core.modify(
                    in,
                    (c, a, b, s) -> {
                        old[0] = a;
                        return a == expected ? b : a;
                    },
                    value);
        } else {
            old[0] = core.load(in);
            if (old[0] == expected) {
                r.set(in.rmRegister(), size, value);
            }
        }
        subtract(core, expected, old[0], size);
        if (old[0] != expected) {
            r.set(Registers.RAX, size, old[0]);
        }
    }

    /** CMPXCHG8B, and CMPXCHG16B where the size is 8. */
    static void compareAndExchangePair(Core core, Instruction in) {
        if (in.size == 8) {
            compareAndExchange16(core, in);
            return;
        }
        Registers r = core.r;
        long expected = r.get(Registers.RDX, 4) << 32 | r.get(Registers.RAX, 4);
        long value = r.get(Registers.RCX, 4) << 32 | r.get(Registers.RBX, 4);
        long[] old = new long[1];
        core.modify(
                core.linear(in, 8, true),
                8,
                in.lock,
                (c, a, b, s) -> {
                    old[0] = a;
                    return a == expected ? b : a;
                },
                value);
        boolean equal = old[0] == expected;
        r.setFlag(Flags.ZF, equal);
        if (!equal) {
            r.set(Registers.RAX, 4, old[0]);
            r.set(Registers.RDX, 4, old[0] >>> 32);
        }
    }

    /** The host's memory has no such operation: it is one among the processors of the partition only. */
    private static void compareAndExchange16(Core core, Instruction in) {
        Registers r = core.r;
        long linear = core.linear(in, 16, true);
        if ((linear & 15) != 0) {
            throw core.protection(0);
        }
        synchronized (core.splitLock()) {
            core.mmu.checkWrite(linear, 8);
            long low = core.mmu.read(linear, 8);
            long high = core.mmu.read(linear + 8, 8);
            boolean equal = low == r.general[Registers.RAX] && high == r.general[Registers.RDX];
            core.mmu.write(linear, 8, equal ? r.general[Registers.RBX] : low);
            core.mmu.write(linear + 8, 8, equal ? r.general[Registers.RCX] : high);
            r.setFlag(Flags.ZF, equal);
            if (!equal) {
                r.general[Registers.RAX] = low;
                r.general[Registers.RDX] = high;
            }
        }
    }

    // Decimal.

    static void adjustAfterAddition(Core core, Instruction in) {
        decimal(core, 1);
    }

    static void adjustAfterSubtraction(Core core, Instruction in) {
        decimal(core, -1);
    }

    private static void decimal(Core core, int sign) {
        Registers r = core.r;
        int al = (int) r.get(Registers.RAX, 1);
        boolean carry = r.has(Flags.CF);
        int result = al;
        int flags = 0;
        if ((al & 0xf) > 9 || r.has(Flags.AF)) {
            result += 6 * sign;
            flags |= Flags.AF;
            if (carry || (sign < 0 && al < 6)) {
                flags |= Flags.CF;
            }
        }
        if (al > 0x99 || carry) {
            result += 0x60 * sign;
            flags |= Flags.CF;
        }
        r.set(Registers.RAX, 1, result);
        r.setStatus(flags | Alu.resultFlags(result & 0xff, 1));
    }

    static void asciiAfterAddition(Core core, Instruction in) {
        ascii(core, 1);
    }

    static void asciiAfterSubtraction(Core core, Instruction in) {
        ascii(core, -1);
    }

    private static void ascii(Core core, int sign) {
        Registers r = core.r;
        long ax = r.get(Registers.RAX, 2);
        int flags = 0;
        if ((ax & 0xf) > 9 || r.has(Flags.AF)) {
            ax += 0x106L * sign;
            flags = Flags.AF | Flags.CF;
        }
        r.set(Registers.RAX, 2, ax & 0xff0f);
        r.setStatus(flags | Alu.resultFlags(ax & 0xf, 1));
    }

    static void asciiBeforeDivision(Core core, Instruction in) {
        Registers r = core.r;
        long al = r.get(Registers.RAX, 1) + (r.get(Registers.RAX, 2) >>> 8) * (in.immediate & 0xff) & 0xff;
        r.set(Registers.RAX, 2, al);
        r.setStatus(Alu.resultFlags(al, 1));
    }

    static void asciiAfterMultiplication(Core core, Instruction in) {
        Registers r = core.r;
        long base = in.immediate & 0xff;
        if (base == 0) {
            throw divideError();
        }
        long al = r.get(Registers.RAX, 1);
        r.set(Registers.RAX, 2, (al / base) << 8 | al % base);
        r.setStatus(Alu.resultFlags(al % base, 1));
    }
}

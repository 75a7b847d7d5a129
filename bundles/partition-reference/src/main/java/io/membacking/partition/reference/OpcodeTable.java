package io.membacking.partition.reference;

import static io.membacking.partition.reference.Opcode.BYTE;
import static io.membacking.partition.reference.Opcode.FAR;
import static io.membacking.partition.reference.Opcode.IMM16;
import static io.membacking.partition.reference.Opcode.IMM8;
import static io.membacking.partition.reference.Opcode.IMMV;
import static io.membacking.partition.reference.Opcode.IMMZ;
import static io.membacking.partition.reference.Opcode.INVALID;
import static io.membacking.partition.reference.Opcode.LOCKABLE;
import static io.membacking.partition.reference.Opcode.MEMORY;
import static io.membacking.partition.reference.Opcode.MODRM;
import static io.membacking.partition.reference.Opcode.NARROW;
import static io.membacking.partition.reference.Opcode.NOT_64;
import static io.membacking.partition.reference.Opcode.NOT_SHORT;
import static io.membacking.partition.reference.Opcode.OFFSET;
import static io.membacking.partition.reference.Opcode.REGISTER;
import static io.membacking.partition.reference.Opcode.REGISTERS;
import static io.membacking.partition.reference.Opcode.UNSUPPORTED;
import static io.membacking.partition.reference.Opcode.WIDE;
import static io.membacking.partition.reference.Opcode.WIDEST;

import java.util.Arrays;

/**
 * The subset, as tables: opcodes of one byte, and of two. What is in neither is beyond it.
 *
 * @see <a href="https://www.intel.com/sdm">Intel SDM, volume 2, appendix A</a>
 */
final class OpcodeTable {
    private static final Opcode[] FIRST = new Opcode[256];
    private static final Opcode[] SECOND = new Opcode[256];

    private static final Opcode MOVSXD = op("movsxd", MODRM, Moves::signExtendDouble);
    private static final Opcode POPCNT = op("popcnt", MODRM, BitOperations::countOnes);
    private static final Opcode TZCNT = op("tzcnt", MODRM, BitOperations::countTrailingZeros);
    private static final Opcode LZCNT = op("lzcnt", MODRM, BitOperations::countLeadingZeros);
    private static final Opcode LOAD_SWAPPED = op("movbe", MODRM | MEMORY, BitOperations::loadSwapped);
    private static final Opcode STORE_SWAPPED = op("movbe", MODRM | MEMORY, BitOperations::storeSwapped);
    private static final Opcode TRANSACTION = op("(transaction)", 0, Coprocessors::transaction);
    private static final Opcode VECTOR = op("(vector)", 0, Coprocessors::vector);

    private static final String[] SHIFTS = {"rol", "ror", "rcl", "rcr", "shl", "shr", "shl", "sar"};

    private OpcodeTable() {}

    /** @param wide in 64-bit code, where some mean something else */
    static Opcode first(int code, boolean wide) {
        if (wide) {
            switch (code) {
                case 0x63 -> {
                    return MOVSXD;
                }
                case 0x62, 0xc4, 0xc5 -> {
                    return VECTOR;
                }
                default -> {}
            }
        }
        return FIRST[code];
    }

    /** @param next gives the byte after it, for those that have another */
    static Opcode second(int code, int repeat, Decoder.Bytes next) {
        switch (code) {
            case 0x38 -> {
                int third = next.next();
                if (repeat == 0 && third == 0xf0) {
                    return LOAD_SWAPPED;
                }
                return repeat == 0 && third == 0xf1 ? STORE_SWAPPED : VECTOR;
            }
            case 0xb8 -> {
                return repeat == Instruction.REPE ? POPCNT : INVALID;
            }
            case 0xbc -> {
                return repeat == Instruction.REPE ? TZCNT : SECOND[code];
            }
            case 0xbd -> {
                return repeat == Instruction.REPE ? LZCNT : SECOND[code];
            }
            default -> {
                return SECOND[code];
            }
        }
    }

    static {
        Arrays.fill(FIRST, UNSUPPORTED);
        Arrays.fill(SECOND, UNSUPPORTED);
        arithmetic();
        stackAndMoves();
        shiftsAndGroups();
        stringsAndPorts();
        transfers();
        flagsAndTheRest();
        system();
        secondMoves();
        secondBits();
        coprocessors();
        for (int code : new int[] {
            0x04, 0x0a, 0x0b, 0x0c, 0x0e, 0x0f, 0x24, 0x25, 0x26, 0x27, 0x36, 0x39, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x7a,
            0x7b, 0xa6, 0xa7, 0xb9, 0xff
        }) {
            SECOND[code] = INVALID;
        }
    }

    private static Opcode op(String name, int flags, Operation operation) {
        return new Opcode(name, flags, operation, null);
    }

    private static Opcode group(int flags, Opcode... members) {
        return new Opcode("(group)", flags | MODRM, INVALID.operation(), members);
    }

    private static void arithmetic() {
        binary(0x00, "add", Arithmetic::add);
        binary(0x08, "or", Arithmetic::or);
        binary(0x10, "adc", Arithmetic::addCarry);
        binary(0x18, "sbb", Arithmetic::subtractBorrow);
        binary(0x20, "and", Arithmetic::and);
        binary(0x28, "sub", Arithmetic::subtract);
        binary(0x30, "xor", Arithmetic::xor);
        pair(0x38, op("cmp", MODRM, Arithmetic::compareRmWithRegister));
        pair(0x3a, op("cmp", MODRM, Arithmetic::compareRegisterWithRm));
        FIRST[0x3c] = op("cmp", BYTE | IMM8, Arithmetic::compareAccumulator);
        FIRST[0x3d] = op("cmp", IMMZ, Arithmetic::compareAccumulator);
        Opcode[] immediate = {
            op("add", LOCKABLE, Arithmetic.rmWithImmediate(Arithmetic::add)),
            op("or", LOCKABLE, Arithmetic.rmWithImmediate(Arithmetic::or)),
            op("adc", LOCKABLE, Arithmetic.rmWithImmediate(Arithmetic::addCarry)),
            op("sbb", LOCKABLE, Arithmetic.rmWithImmediate(Arithmetic::subtractBorrow)),
            op("and", LOCKABLE, Arithmetic.rmWithImmediate(Arithmetic::and)),
            op("sub", LOCKABLE, Arithmetic.rmWithImmediate(Arithmetic::subtract)),
            op("xor", LOCKABLE, Arithmetic.rmWithImmediate(Arithmetic::xor)),
            op("cmp", 0, Arithmetic::compareRmWithImmediate)
        };
        FIRST[0x80] = group(BYTE | IMM8, immediate);
        FIRST[0x81] = group(IMMZ, immediate);
        FIRST[0x82] = group(BYTE | IMM8 | NOT_64, immediate);
        FIRST[0x83] = group(IMM8, immediate);
        for (int register = 0; register < 8; register++) { // in 64-bit code these are prefixes
            FIRST[0x40 + register] = op("inc", REGISTER, Arithmetic::incrementRm);
            FIRST[0x48 + register] = op("dec", REGISTER, Arithmetic::decrementRm);
        }
        pair(0x84, op("test", MODRM, Arithmetic::testRmWithRegister));
        FIRST[0xa8] = op("test", BYTE | IMM8, Arithmetic::testAccumulator);
        FIRST[0xa9] = op("test", IMMZ, Arithmetic::testAccumulator);
        pair(0x86, op("xchg", MODRM | LOCKABLE, Arithmetic::exchange));
        FIRST[0x69] = op("imul", MODRM | IMMZ, Arithmetic::multiplyImmediate);
        FIRST[0x6b] = op("imul", MODRM | IMM8, Arithmetic::multiplyImmediate);
        FIRST[0x27] = op("daa", NOT_64, Arithmetic::adjustAfterAddition);
        FIRST[0x2f] = op("das", NOT_64, Arithmetic::adjustAfterSubtraction);
        FIRST[0x37] = op("aaa", NOT_64, Arithmetic::asciiAfterAddition);
        FIRST[0x3f] = op("aas", NOT_64, Arithmetic::asciiAfterSubtraction);
        FIRST[0xd4] = op("aam", NOT_64 | IMM8, Arithmetic::asciiAfterMultiplication);
        FIRST[0xd5] = op("aad", NOT_64 | IMM8, Arithmetic::asciiBeforeDivision);
    }

    private static void binary(int code, String name, Core.Change change) {
        pair(code, op(name, MODRM | LOCKABLE, Arithmetic.rmWithRegister(change)));
        pair(code + 2, op(name, MODRM, Arithmetic.registerWithRm(change)));
        FIRST[code + 4] = op(name, BYTE | IMM8, Arithmetic.accumulatorWithImmediate(change));
        FIRST[code + 5] = op(name, IMMZ, Arithmetic.accumulatorWithImmediate(change));
    }

    /** The same for bytes and, at the next opcode, for larger operands. */
    private static void pair(int code, Opcode opcode) {
        FIRST[code] = op(opcode.name(), opcode.flags() | BYTE, opcode.operation());
        FIRST[code + 1] = opcode;
    }

    private static void secondPair(int code, Opcode opcode) {
        SECOND[code] = op(opcode.name(), opcode.flags() | BYTE, opcode.operation());
        SECOND[code + 1] = opcode;
    }

    private static void stackAndMoves() {
        for (int register = 0; register < 8; register++) {
            FIRST[0x50 + register] = op("push", REGISTER | WIDE, Moves::pushRegister);
            FIRST[0x58 + register] = op("pop", REGISTER | WIDE, Moves::popRegister);
            FIRST[0x90 + register] = op("xchg", REGISTER, OpcodeTable::exchangeWithAccumulator);
            FIRST[0xb0 + register] = op("mov", REGISTER | BYTE | IMM8, Moves::loadImmediate);
            FIRST[0xb8 + register] = op("mov", REGISTER | IMMV, Moves::loadImmediate);
        }
        FIRST[0x60] = op("pusha", NOT_64, Moves::pushAll);
        FIRST[0x61] = op("popa", NOT_64, Moves::popAll);
        FIRST[0x68] = op("push", IMMZ | WIDE, Moves::pushImmediate);
        FIRST[0x6a] = op("push", IMM8 | WIDE, Moves::pushImmediate);
        FIRST[0x8f] =
                group(WIDE, op("pop", 0, Moves::popRm), INVALID, INVALID, INVALID, INVALID, INVALID, INVALID, INVALID);
        FIRST[0x9c] = op("pushf", WIDE, Moves::pushFlags);
        FIRST[0x9d] = op("popf", WIDE, Moves::popFlags);
        FIRST[0xc8] = op("enter", IMM16 | IMM8 | WIDE, Moves::enter);
        FIRST[0xc9] = op("leave", WIDE, Moves::leave);
        int[] segments = {Registers.ES, Registers.CS, Registers.SS, Registers.DS};
        for (int segment : segments) {
            FIRST[0x06 + 8 * segment] = op("push", NOT_64, Moves.pushSegment(segment));
            if (segment != Registers.CS) {
                FIRST[0x07 + 8 * segment] = op("pop", NOT_64, Moves.popSegment(segment));
            }
        }
        pair(0x88, op("mov", MODRM, Moves::storeRegister));
        pair(0x8a, op("mov", MODRM, Moves::loadRegister));
        FIRST[0x8c] = op("mov", MODRM, Moves::storeSegment);
        FIRST[0x8d] = op("lea", MODRM | MEMORY, Moves::loadAddress);
        FIRST[0x8e] = op("mov", MODRM, Moves::loadSegment);
        FIRST[0xa0] = op("mov", OFFSET | BYTE, Moves::loadAccumulator);
        FIRST[0xa1] = op("mov", OFFSET, Moves::loadAccumulator);
        FIRST[0xa2] = op("mov", OFFSET | BYTE, Moves::storeAccumulator);
        FIRST[0xa3] = op("mov", OFFSET, Moves::storeAccumulator);
        FIRST[0xc6] = group(
                BYTE | IMM8,
                op("mov", 0, Moves::storeImmediate),
                INVALID,
                INVALID,
                INVALID,
                INVALID,
                INVALID,
                INVALID,
                TRANSACTION);
        FIRST[0xc7] = group(
                IMMZ,
                op("mov", 0, Moves::storeImmediate),
                INVALID,
                INVALID,
                INVALID,
                INVALID,
                INVALID,
                INVALID,
                TRANSACTION);
        FIRST[0xc4] = op("les", MODRM, Moves.loadPointer(Registers.ES));
        FIRST[0xc5] = op("lds", MODRM, Moves.loadPointer(Registers.DS));
        FIRST[0x98] = op("cbw", 0, Moves::extendAccumulator);
        FIRST[0x99] = op("cwd", 0, Moves::extendIntoRdx);
        FIRST[0xd7] = op("xlat", 0, Moves::translate);
    }

    /** XCHG with the accumulator; with itself it is NOP, and the opcode of that is PAUSE when repeated, whatever REX says. */
    private static void exchangeWithAccumulator(Core core, Instruction in) {
        if ((in.rm & 7) == Registers.RAX && in.repeat == Instruction.REPE) {
            Thread.onSpinWait();
            return;
        }
        if (in.rm == Registers.RAX) {
            return;
        }
        long value = core.r.get(in.rm, in.size);
        core.r.set(in.rm, in.size, core.r.get(Registers.RAX, in.size));
        core.r.set(Registers.RAX, in.size, value);
    }

    private static void shiftsAndGroups() {
        Opcode[] byImmediate = new Opcode[8];
        Opcode[] byOne = new Opcode[8];
        Opcode[] byCl = new Opcode[8];
        for (int i = 0; i < 8; i++) {
            byImmediate[i] = op(SHIFTS[i], 0, Shifts.byImmediate(i));
            byOne[i] = op(SHIFTS[i], 0, Shifts.byOne(i));
            byCl[i] = op(SHIFTS[i], 0, Shifts.byCl(i));
        }
        FIRST[0xc0] = group(BYTE | IMM8, byImmediate);
        FIRST[0xc1] = group(IMM8, byImmediate);
        FIRST[0xd0] = group(BYTE, byOne);
        FIRST[0xd1] = group(0, byOne);
        FIRST[0xd2] = group(BYTE, byCl);
        FIRST[0xd3] = group(0, byCl);
        Opcode not = op("not", LOCKABLE, Arithmetic::notRm);
        Opcode neg = op("neg", LOCKABLE, Arithmetic::negateRm);
        Opcode mul = op("mul", 0, Arithmetic::multiply);
        Opcode imul = op("imul", 0, Arithmetic::multiplySigned);
        Opcode div = op("div", 0, Arithmetic::divide);
        Opcode idiv = op("idiv", 0, Arithmetic::divideSigned);
        Opcode testByte = op("test", IMM8, Arithmetic::testRmWithImmediate);
        Opcode test = op("test", IMMZ, Arithmetic::testRmWithImmediate);
        FIRST[0xf6] = group(BYTE, testByte, testByte, not, neg, mul, imul, div, idiv);
        FIRST[0xf7] = group(0, test, test, not, neg, mul, imul, div, idiv);
        Opcode inc = op("inc", LOCKABLE, Arithmetic::incrementRm);
        Opcode dec = op("dec", LOCKABLE, Arithmetic::decrementRm);
        FIRST[0xfe] = group(BYTE, inc, dec, INVALID, INVALID, INVALID, INVALID, INVALID, INVALID);
        FIRST[0xff] = group(
                0,
                inc,
                dec,
                op("call", WIDEST, Branches::callRm),
                op("call far", MEMORY, Branches::callFarRm),
                op("jmp", WIDEST, Branches::jumpRm),
                op("jmp far", MEMORY, Branches::jumpFarRm),
                op("push", WIDE, Moves::pushRm),
                INVALID);
    }

    private static void stringsAndPorts() {
        pair(0xa4, op("movs", 0, Strings.MOVE));
        pair(0xa6, op("cmps", 0, Strings.COMPARE));
        pair(0xaa, op("stos", 0, Strings.STORE));
        pair(0xac, op("lods", 0, Strings.LOAD));
        pair(0xae, op("scas", 0, Strings.SCAN));
        pair(0x6c, op("ins", NARROW, Strings.INPUT));
        pair(0x6e, op("outs", NARROW, Strings.OUTPUT));
        pair(0xe4, op("in", IMM8 | NARROW, Ports::inImmediate));
        pair(0xe6, op("out", IMM8 | NARROW, Ports::outImmediate));
        pair(0xec, op("in", NARROW, Ports::inDx));
        pair(0xee, op("out", NARROW, Ports::outDx));
    }

    private static void transfers() {
        for (int condition = 0; condition < 16; condition++) {
            String name = "j" + Conditions.NAMES[condition];
            FIRST[0x70 + condition] = op(name, IMM8 | WIDEST, Branches.jumpIf(condition));
            SECOND[0x80 + condition] = op(name, IMMZ | WIDEST, Branches.jumpIf(condition));
        }
        FIRST[0xe0] = op("loopne", IMM8 | WIDEST, Branches.loop(0));
        FIRST[0xe1] = op("loope", IMM8 | WIDEST, Branches.loop(1));
        FIRST[0xe2] = op("loop", IMM8 | WIDEST, Branches.loop(2));
        FIRST[0xe3] = op("jcxz", IMM8 | WIDEST, Branches::jumpIfCounterZero);
        FIRST[0xe8] = op("call", IMMZ | WIDEST, Branches::call);
        FIRST[0xe9] = op("jmp", IMMZ | WIDEST, Branches::jump);
        FIRST[0xeb] = op("jmp", IMM8 | WIDEST, Branches::jump);
        FIRST[0x9a] = op("call far", FAR | NOT_64, Branches::callFar);
        FIRST[0xea] = op("jmp far", FAR | NOT_64, Branches::jumpFar);
        FIRST[0xc2] = op("ret", IMM16 | WIDEST, Branches::returnNear);
        FIRST[0xc3] = op("ret", WIDEST, Branches::returnNear);
        FIRST[0xca] = op("ret far", IMM16, Branches::returnFar);
        FIRST[0xcb] = op("ret far", 0, Branches::returnFar);
        FIRST[0xcc] = op("int3", 0, Branches::breakpoint);
        FIRST[0xcd] = op("int", IMM8, Branches::interrupt);
        FIRST[0xce] = op("into", NOT_64, Branches::interruptIfOverflow);
        FIRST[0xcf] = op("iret", 0, Branches::interruptReturn);
        FIRST[0xf1] = op("int1", 0, Branches::debugTrap);
        FIRST[0x62] = op("bound", MODRM, Branches::checkBounds);
    }

    private static void flagsAndTheRest() {
        FIRST[0x9e] = op("sahf", 0, Moves::storeFlags);
        FIRST[0x9f] = op("lahf", 0, Moves::loadFlags);
        FIRST[0xf5] = op("cmc", 0, Moves::complementCarry);
        FIRST[0xf8] = op("clc", 0, Moves.setFlag(Flags.CF, false));
        FIRST[0xf9] = op("stc", 0, Moves.setFlag(Flags.CF, true));
        FIRST[0xfa] = op("cli", 0, SystemInstructions::clearInterrupts);
        FIRST[0xfb] = op("sti", 0, SystemInstructions::setInterrupts);
        FIRST[0xfc] = op("cld", 0, Moves.setFlag(Flags.DF, false));
        FIRST[0xfd] = op("std", 0, Moves.setFlag(Flags.DF, true));
        FIRST[0xf4] = op("hlt", 0, SystemInstructions::halt);
    }

    private static void system() {
        Opcode verr = op("verr", 0, SegmentQueries.verify(false));
        Opcode verw = op("verw", 0, SegmentQueries.verify(true));
        SECOND[0x00] = group(
                0,
                op("sldt", 0, SystemInstructions::storeLocal),
                op("str", 0, SystemInstructions::storeTask),
                op("lldt", 0, SystemInstructions::loadLocal),
                op("ltr", 0, SystemInstructions::loadTask),
                verr,
                verw,
                INVALID,
                INVALID);
        SECOND[0x01] = group(
                0,
                op("sgdt", 0, SystemInstructions.storeTable(false)),
                op("sidt", 0, SystemInstructions.storeTable(true)),
                op("lgdt", 0, SystemInstructions.loadTable(false)),
                op("lidt", 0, SystemInstructions.loadTable(true)),
                op("smsw", 0, SystemInstructions::storeMachineStatus),
                UNSUPPORTED,
                op("lmsw", 0, SystemInstructions::loadMachineStatus),
                op("invlpg", 0, SystemInstructions::invalidatePage));
        SECOND[0x02] = op("lar", MODRM, SegmentQueries::loadAccessRights);
        SECOND[0x03] = op("lsl", MODRM, SegmentQueries::loadLimit);
        SECOND[0x05] = op("syscall", 0, SystemCalls::enter);
        SECOND[0x06] = op("clts", 0, SystemInstructions::clearTaskSwitched);
        SECOND[0x07] = op("sysret", 0, SystemCalls::leave);
        SECOND[0x08] = op("invd", 0, SystemInstructions::flushCaches);
        SECOND[0x09] = op("wbinvd", 0, SystemInstructions::flushCaches);
        SECOND[0x20] = op("mov", MODRM | REGISTERS, SystemInstructions::readControl);
        SECOND[0x21] = op("mov", MODRM | REGISTERS, SystemInstructions::readDebug);
        SECOND[0x22] = op("mov", MODRM | REGISTERS, SystemInstructions::writeControl);
        SECOND[0x23] = op("mov", MODRM | REGISTERS, SystemInstructions::writeDebug);
        SECOND[0x30] = op("wrmsr", 0, SystemInstructions::writeMsr);
        SECOND[0x31] = op("rdtsc", 0, SystemInstructions::readTimeStamp);
        SECOND[0x32] = op("rdmsr", 0, SystemInstructions::readMsr);
        SECOND[0xa2] = op("cpuid", 0, SystemInstructions::identify);
        SECOND[0xae] = new Opcode("fence", MODRM, SystemInstructions::fences, null);
    }

    private static void secondMoves() {
        Operation nothing = (core, in) -> {};
        SECOND[0x0d] = op("prefetch", MODRM, nothing);
        for (int code = 0x18; code < 0x20; code++) {
            SECOND[code] = op("nop", MODRM, nothing);
        }
        for (int condition = 0; condition < 16; condition++) {
            SECOND[0x40 + condition] = op("cmov" + Conditions.NAMES[condition], MODRM, Moves.conditional(condition));
            SECOND[0x90 + condition] = op("set" + Conditions.NAMES[condition], MODRM | BYTE, Moves.setByte(condition));
        }
        SECOND[0xa0] = op("push", WIDE, Moves.pushSegment(Registers.FS));
        SECOND[0xa1] = op("pop", WIDE, Moves.popSegment(Registers.FS));
        SECOND[0xa8] = op("push", WIDE, Moves.pushSegment(Registers.GS));
        SECOND[0xa9] = op("pop", WIDE, Moves.popSegment(Registers.GS));
        SECOND[0xb2] = op("lss", MODRM | MEMORY, Moves.loadPointer(Registers.SS));
        SECOND[0xb4] = op("lfs", MODRM | MEMORY, Moves.loadPointer(Registers.FS));
        SECOND[0xb5] = op("lgs", MODRM | MEMORY, Moves.loadPointer(Registers.GS));
        SECOND[0xb6] = op("movzx", MODRM, Moves.zeroExtend(1));
        SECOND[0xb7] = op("movzx", MODRM, Moves.zeroExtend(2));
        SECOND[0xbe] = op("movsx", MODRM, Moves.signExtend(1));
        SECOND[0xbf] = op("movsx", MODRM, Moves.signExtend(2));
        SECOND[0xc3] = op("movnti", MODRM | MEMORY | NOT_SHORT, Moves::storeRegister);
    }

    private static void secondBits() {
        String[] names = {"bt", "bts", "btr", "btc"};
        Opcode[] immediate = new Opcode[8];
        Arrays.fill(immediate, INVALID);
        for (int i = 0; i < 4; i++) {
            int lockable = i == 0 ? 0 : LOCKABLE;
            SECOND[0xa3 + 8 * i] = op(names[i], MODRM | lockable, BitOperations.withRegister(i));
            immediate[4 + i] = op(names[i], lockable, BitOperations.withImmediate(i));
        }
        SECOND[0xba] = group(IMM8, immediate);
        SECOND[0xa4] = op("shld", MODRM | IMM8, Shifts::doubleLeftImmediate);
        SECOND[0xa5] = op("shld", MODRM, Shifts::doubleLeftCl);
        SECOND[0xac] = op("shrd", MODRM | IMM8, Shifts::doubleRightImmediate);
        SECOND[0xad] = op("shrd", MODRM, Shifts::doubleRightCl);
        SECOND[0xaf] = op("imul", MODRM, Arithmetic::multiplyRegister);
        secondPair(0xb0, op("cmpxchg", MODRM | LOCKABLE, Arithmetic::compareAndExchange));
        secondPair(0xc0, op("xadd", MODRM | LOCKABLE, Arithmetic::exchangeAndAdd));
        SECOND[0xbc] = op("bsf", MODRM, BitOperations::scanForward);
        SECOND[0xbd] = op("bsr", MODRM, BitOperations::scanReverse);
        SECOND[0xc7] = group(
                0,
                INVALID,
                op("cmpxchg8b", LOCKABLE | MEMORY, Arithmetic::compareAndExchangePair),
                INVALID,
                UNSUPPORTED,
                UNSUPPORTED,
                UNSUPPORTED,
                UNSUPPORTED,
                UNSUPPORTED);
        for (int register = 0; register < 8; register++) {
            SECOND[0xc8 + register] = op("bswap", REGISTER, BitOperations::swapBytes);
        }
    }

    private static void coprocessors() {
        Opcode x87 = op("(x87)", 0, Coprocessors::x87);
        for (int code = 0xd8; code < 0xe0; code++) {
            FIRST[code] = x87;
        }
        FIRST[0x9b] = op("fwait", 0, Coprocessors::await);
        int[][] ranges = {
            {0x10, 0x17},
            {0x28, 0x2f},
            {0x3a, 0x3a},
            {0x50, 0x79},
            {0x7c, 0x7f},
            {0xc2, 0xc2},
            {0xc4, 0xc6},
            {0xd0, 0xfe}
        };
        for (int[] range : ranges) {
            Arrays.fill(SECOND, range[0], range[1] + 1, VECTOR);
        }
    }
}

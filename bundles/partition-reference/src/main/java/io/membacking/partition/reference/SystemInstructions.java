package io.membacking.partition.reference;

import io.membacking.partition.CpuModel.Leaf;
import io.membacking.partition.Exit;
import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.Shadow;
import java.lang.invoke.VarHandle;
import java.util.Optional;

/** What operating systems and firmware use: control registers, tables, MSRs, CPUID. */
final class SystemInstructions {
    private static final Exit HALT = new Exit.Halt();

    private SystemInstructions() {}

    static void halt(Core core, Instruction in) {
        core.requirePrivilege();
        core.leaveAfterwards(HALT);
    }

    static void clearInterrupts(Core core, Instruction in) {
        requireInterruptPrivilege(core);
        core.r.flags &= ~Flags.IF;
    }

    static void setInterrupts(Core core, Instruction in) {
        requireInterruptPrivilege(core);
        if (!core.r.has(Flags.IF)) {
            core.r.flags |= Flags.IF;
            PendingEvents e = core.events;
            core.events = new PendingEvents(
                    Optional.empty(), Optional.empty(), Shadow.STI, false, e.nmiPending(), e.nmiMasked());
        }
    }

    private static void requireInterruptPrivilege(Core core) {
        if (core.r.protectedMode && core.r.cpl > core.r.iopl()) {
            throw core.protection(0);
        }
    }

    static void fences(Core core, Instruction in) {
        int which = in.reg & 7;
        if (!in.memory && in.repeat == Instruction.REPE && which < 4) {
            segmentBase(core, in, which);
        } else if ((!in.memory && which >= 5) || (in.memory && which == 7)) {
            // LFENCE, MFENCE, SFENCE, CLFLUSH: the host's memory is ordered as this processor's is.
            VarHandle.fullFence();
        } else {
            throw core.unsupported("saving and restoring vector state is beyond the subset of the reference processor");
        }
    }

    /** RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE. */
    private static void segmentBase(Core core, Instruction in, int which) {
        if (core.r.codeSize != 8 || (core.r.cr4 & Registers.CR4_FSGSBASE) == 0) {
            throw core.undefined();
        }
        SegmentRegister segment = core.r.segments[Registers.FS + (which & 1)];
        if (which < 2) {
            core.r.set(in.rm, in.size, segment.base);
            return;
        }
        long base = core.r.get(in.rm, in.size);
        if (!core.isCanonical(base)) {
            throw core.protection(0);
        }
        segment.base = base;
    }

    // Tables.

    static Operation storeTable(boolean interrupts) {
        return (core, in) -> {
            if (!in.memory) {
                throw core.unsupported("a virtualization instruction");
            }
            requireNoUmip(core);
            Registers r = core.r;
            int size = r.codeSize == 8 ? 8 : 4;
            long address = core.address(in);
            core.checkpoint();
            core.mmu.write(core.linear(in.segment, address, 2, true), 2, interrupts ? r.idtLimit : r.gdtLimit);
            core.mmu.write(core.linear(in.segment, address + 2, size, true), size, interrupts ? r.idtBase : r.gdtBase);
        };
    }

    static Operation loadTable(boolean interrupts) {
        return (core, in) -> {
            if (!in.memory) {
                special(core, in);
                return;
            }
            core.requirePrivilege();
            Registers r = core.r;
            int size = r.codeSize == 8 ? 8 : 4;
            long address = core.address(in);
            int limit = (int) core.read(in.segment, address, 2);
            long base = core.read(in.segment, address + 2, size);
            if (size == 4 && in.size == 2) {
                base &= 0xffffff;
            }
            if (!core.isCanonical(base)) {
                throw core.protection(0);
            }
            if (interrupts) {
                r.idtBase = base;
                r.idtLimit = limit;
            } else {
                r.gdtBase = base;
                r.gdtLimit = limit;
            }
        };
    }

    /** What 0F 01 means with ModRM naming registers: XGETBV is 2/0, CLAC and STAC 1/2 and 1/3, SWAPGS 7/0, RDTSCP 7/1. */
    private static void special(Core core, Instruction in) {
        if ((in.reg & 7) == 2 && (in.rm & 7) == 0) {
            readExtendedControl(core);
            return;
        }
        throw core.unsupported("a virtualization instruction or one of protection keys");
    }

    private static void readExtendedControl(Core core) {
        if ((core.r.cr4 & Registers.CR4_OSXSAVE) == 0) {
            throw core.undefined();
        }
        if (core.r.get(Registers.RCX, 4) != 0) {
            throw core.protection(0);
        }
        core.r.set(Registers.RAX, 4, core.vectors.xcr0());
        core.r.set(Registers.RDX, 4, core.vectors.xcr0() >>> 32);
    }

    static void invalidatePage(Core core, Instruction in) {
        if (in.memory) {
            core.requirePrivilege();
            core.mmu.flush();
            return;
        }
        switch (in.rm & 7) {
            case 0 -> swapGs(core);
            case 1 -> {
                readTimeStamp(core, in);
                core.r.set(Registers.RCX, 4, Msrs.get(core.r, Msrs.TSC_AUX));
            }
            default -> throw core.unsupported("an instruction beyond the subset of the reference processor");
        }
    }

    private static void swapGs(Core core) {
        if (core.r.codeSize != 8) {
            throw core.undefined();
        }
        core.requirePrivilege();
        SegmentRegister gs = core.r.segments[Registers.GS];
        long base = gs.base;
        gs.base = Msrs.get(core.r, Msrs.KERNEL_GS_BASE);
        core.r.msrs.put(Msrs.KERNEL_GS_BASE, base);
    }

    static void storeLocal(Core core, Instruction in) {
        storeSelector(core, in, core.r.local);
    }

    static void storeTask(Core core, Instruction in) {
        storeSelector(core, in, core.r.task);
    }

    private static void storeSelector(Core core, Instruction in, SegmentRegister segment) {
        requireProtected(core);
        requireNoUmip(core);
        if (in.memory) {
            core.mmu.write(core.linear(in, 2, true), 2, segment.selector);
        } else {
            core.r.set(in.rm, in.size, segment.selector);
        }
    }

    static void loadLocal(Core core, Instruction in) {
        requireProtected(core);
        core.requirePrivilege();
        SegmentLoads.loadLocal(core, (int) core.load(in, 2));
    }

    static void loadTask(Core core, Instruction in) {
        requireProtected(core);
        core.requirePrivilege();
        SegmentLoads.loadTask(core, (int) core.load(in, 2));
    }

    private static void requireProtected(Core core) {
        if (!core.r.protectedMode) {
            throw core.undefined();
        }
    }

    private static void requireNoUmip(Core core) {
        if (core.r.cpl != 0 && (core.r.cr4 & Registers.CR4_UMIP) != 0) {
            throw core.protection(0);
        }
    }

    // Control and debug registers.

    static void storeMachineStatus(Core core, Instruction in) {
        requireNoUmip(core);
        if (in.memory) {
            core.mmu.write(core.linear(in, 2, true), 2, core.r.cr0 & 0xffff);
        } else {
            core.r.set(in.rm, in.size, core.r.cr0);
        }
    }

    /** It can set PE and not clear it. */
    static void loadMachineStatus(Core core, Instruction in) {
        core.requirePrivilege();
        long value = core.load(in, 2);
        setCr0(core, (core.r.cr0 & ~0xeL) | (value & 0xf));
    }

    static void clearTaskSwitched(Core core, Instruction in) {
        core.requirePrivilege();
        core.r.cr0 &= ~Registers.CR0_TS;
    }

    static void readControl(Core core, Instruction in) {
        core.requirePrivilege();
        Registers r = core.r;
        long value =
                switch (in.reg) {
                    case 0 -> r.cr0;
                    case 2 -> r.cr2;
                    case 3 -> r.cr3;
                    case 4 -> r.cr4;
                    case 8 -> r.cr8;
                    default -> throw new GuestFault(GuestFault.INVALID_OPCODE, GuestFault.NO_CODE);
                };
        r.set(in.rm, r.codeSize == 8 ? 8 : 4, value);
    }

    static void writeControl(Core core, Instruction in) {
        core.requirePrivilege();
        Registers r = core.r;
        long value = r.get(in.rm, r.codeSize == 8 ? 8 : 4);
        switch (in.reg) {
            case 0 -> setCr0(core, value);
            case 2 -> r.cr2 = value;
            case 3 -> {
                long address = value & ~(1L << 63); // which asks only to keep translations
                if (r.longMode && address >>> CpuidTable.physicalWidth(core.model) != 0) {
                    throw core.protection(0);
                }
                r.cr3 = address;
                core.mmu.flush();
            }
            case 4 -> setCr4(core, value);
            case 8 -> {
                if ((value & ~0xfL) != 0) {
                    throw core.protection(0);
                }
                r.cr8 = value;
            }
            default -> throw core.undefined();
        }
    }

    private static void setCr0(Core core, long wanted) {
        Registers r = core.r;
        if (wanted >>> 32 != 0
                || ((wanted & Registers.CR0_PG) != 0 && (wanted & Registers.CR0_PE) == 0)
                || ((wanted & Registers.CR0_NW) != 0 && (wanted & Registers.CR0_CD) == 0)) {
            throw core.protection(0);
        }
        long value = (wanted & Registers.CR0_ALL) | Registers.CR0_ET;
        boolean paged = (r.cr0 & Registers.CR0_PG) != 0;
        boolean pages = (value & Registers.CR0_PG) != 0;
        if (pages && !paged && (r.efer & Registers.EFER_LME) != 0) {
            if ((r.cr4 & Registers.CR4_PAE) == 0 || r.segments[Registers.CS].isLong()) {
                throw core.protection(0);
            }
            r.efer |= Registers.EFER_LMA;
        } else if (!pages && paged) {
            if (r.codeSize == 8) {
                throw core.protection(0);
            }
            r.efer &= ~Registers.EFER_LMA;
        }
        r.cr0 = value;
        r.refresh();
        core.mmu.flush();
    }

    private static void setCr4(Core core, long value) {
        Registers r = core.r;
        long changed = r.cr4 ^ value;
        if ((value & ~core.controlBits) != 0
                || (r.longMode && ((value & Registers.CR4_PAE) == 0 || (changed & Registers.CR4_LA57) != 0))) {
            throw core.protection(0);
        }
        r.cr4 = value;
        core.mmu.flush();
    }

    static void readDebug(Core core, Instruction in) {
        core.requirePrivilege();
        core.r.set(in.rm, core.r.codeSize == 8 ? 8 : 4, core.r.debug[debugNumber(core, in)]);
    }

    /** Breakpoints that are set there do not stop anything. */
    static void writeDebug(Core core, Instruction in) {
        core.requirePrivilege();
        int number = debugNumber(core, in);
        long value = core.r.get(in.rm, core.r.codeSize == 8 ? 8 : 4);
        if (number >= 6 && value >>> 32 != 0) {
            throw core.protection(0);
        }
        core.r.debug[number] = switch (number) {
            case 6 -> (value & 0xe00f) | 0xffff0ff0L;
            case 7 -> (value & 0xffff27ffL) | 0x400;
            default -> value;
        };
    }

    private static int debugNumber(Core core, Instruction in) {
        if (in.reg > 7) {
            throw core.undefined();
        }
        return in.reg == 4 || in.reg == 5 ? in.reg + 2 : in.reg;
    }

    // The rest.

    static void flushCaches(Core core, Instruction in) {
        core.requirePrivilege();
    }

    static void readTimeStamp(Core core, Instruction in) {
        if ((core.r.cr4 & Registers.CR4_TSD) != 0 && core.r.cpl != 0) {
            throw core.protection(0);
        }
        setWide(core, core.timeStamps.read());
    }

    static void identify(Core core, Instruction in) {
        Registers r = core.r;
        boolean osxsave = (r.cr4 & Registers.CR4_OSXSAVE) != 0;
        Leaf leaf = CpuidTable.answer(
                core.model, (int) r.general[Registers.RAX], (int) r.general[Registers.RCX], core.index, osxsave);
        r.set(Registers.RAX, 4, leaf.eax());
        r.set(Registers.RBX, 4, leaf.ebx());
        r.set(Registers.RCX, 4, leaf.ecx());
        r.set(Registers.RDX, 4, leaf.edx());
    }

    static void readMsr(Core core, Instruction in) {
        core.requirePrivilege();
        Registers r = core.r;
        int number = (int) r.general[Registers.RCX];
        long value =
                switch (number) {
                    case Msrs.TIME_STAMP -> core.timeStamps.read();
                    case Msrs.APIC_BASE -> r.apicBase;
                    case Msrs.EFER -> r.efer;
                    case Msrs.FS_BASE -> r.segments[Registers.FS].base;
                    case Msrs.GS_BASE -> r.segments[Registers.GS].base;
                    default -> {
                        if (!r.msrs.containsKey(number) && !Msrs.readsAsZero(number)) {
                            throw core.protection(0);
                        }
                        yield Msrs.get(r, number);
                    }
                };
        setWide(core, value);
    }

    static void writeMsr(Core core, Instruction in) {
        core.requirePrivilege();
        Registers r = core.r;
        int number = (int) r.general[Registers.RCX];
        long value = r.get(Registers.RDX, 4) << 32 | r.get(Registers.RAX, 4);
        if (Msrs.isAddress(number) && !core.isCanonical(value)) {
            throw core.protection(0);
        }
        switch (number) {
            case Msrs.TIME_STAMP -> core.timeStamps.set(value);
            case Msrs.APIC_BASE -> r.apicBase = value;
            case Msrs.EFER -> setEfer(core, value);
            case Msrs.FS_BASE -> r.segments[Registers.FS].base = value;
            case Msrs.GS_BASE -> r.segments[Registers.GS].base = value;
            default -> {
                if (!r.msrs.containsKey(number)) {
                    throw core.protection(0);
                }
                r.msrs.put(number, value);
            }
        }
    }

    private static void setEfer(Core core, long wanted) {
        Registers r = core.r;
        long value = wanted & ~Registers.EFER_LMA;
        boolean paged = (r.cr0 & Registers.CR0_PG) != 0;
        if ((value & ~CpuidTable.extendedFeatures(core.model)) != 0
                || (paged && ((value ^ r.efer) & Registers.EFER_LME) != 0)) {
            throw core.protection(0);
        }
        r.efer = value | (r.efer & Registers.EFER_LMA);
        core.mmu.flush();
    }

    private static void setWide(Core core, long value) {
        core.r.set(Registers.RAX, 4, value);
        core.r.set(Registers.RDX, 4, value >>> 32);
    }
}

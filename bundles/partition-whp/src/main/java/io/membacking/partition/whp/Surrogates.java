package io.membacking.partition.whp;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.WString;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Windows' processes that hold memory and never run: this process's own program, suspended before its first instruction, and from
 * its first moment in a job that ends with its last handle, which is ours. So nothing is left of one when it is ended, when this
 * process ends, however that comes about, or when somebody ends the surrogate. Thread-safe.
 */
final class Surrogates implements AutoCloseable {
    private static final int WIN32 = 0x80070000;
    private static final int NT = 0x10000000;

    /** The job of each process. */
    private final Map<Long, Long> jobs = new ConcurrentHashMap<>();

    Surrogates() {
        Win32.acquire();
        boolean done = false;
        try {
            NtDll.acquire();
            done = true;
        } finally {
            if (!done) {
                Win32.release();
            }
        }
    }

    /** @return its handle, or an HRESULT below zero */
    long start() {
        long job = Win32.CreateJobObjectW(null, null);
        if (job == 0) {
            return lastError();
        }
        boolean made = false;
        try (Memory limits = new Memory(Win32.EXTENDED_LIMITS_SIZE)) {
            limits.clear();
            limits.setInt(Win32.LIMIT_FLAGS, Win32.KILL_ON_JOB_CLOSE);
            if (Win32.SetInformationJobObject(job, Win32.EXTENDED_LIMITS, limits, Win32.EXTENDED_LIMITS_SIZE) == 0) {
                return lastError();
            }
            long process = startIn(job);
            if (process > 0) {
                jobs.put(process, job);
                made = true;
            }
            return process;
        } finally {
            if (!made) {
                Win32.CloseHandle(job); // which ends what is in it
            }
        }
    }

    private static long startIn(long job) {
        try (Memory size = new Memory(Long.BYTES);
                Memory jobList = new Memory(Long.BYTES);
                Memory startup = new Memory(Win32.STARTUP_INFO_SIZE);
                Memory information = new Memory(Win32.PROCESS_INFORMATION_SIZE)) {
            size.clear();
            // Fails by its contract, and says how much room it needs.
            Win32.InitializeProcThreadAttributeList(null, 1, 0, size);
            try (Memory attributes = new Memory(Math.max(size.getLong(0), Long.BYTES))) {
                if (Win32.InitializeProcThreadAttributeList(attributes, 1, 0, size) == 0) {
                    return lastError();
                }
                try {
                    jobList.setLong(0, job);
                    if (Win32.UpdateProcThreadAttribute(
                                    attributes,
                                    0,
                                    Win32.PROC_THREAD_ATTRIBUTE_JOB_LIST,
                                    jobList,
                                    Long.BYTES,
                                    null,
                                    null)
                            == 0) {
                        return lastError();
                    }
                    startup.clear();
                    startup.setInt(0, Win32.STARTUP_INFO_SIZE);
                    startup.setPointer(Win32.ATTRIBUTE_LIST, attributes);
                    information.clear();
                    int flags = Win32.CREATE_SUSPENDED | Win32.CREATE_NO_WINDOW | Win32.EXTENDED_STARTUPINFO_PRESENT;
                    if (Win32.CreateProcessW(
                                    null,
                                    new WString(program()),
                                    null,
                                    null,
                                    0,
                                    flags,
                                    null,
                                    null,
                                    startup,
                                    information)
                            == 0) {
                        return lastError();
                    }
                } finally {
                    Win32.DeleteProcThreadAttributeList(attributes);
                }
            }
            Win32.CloseHandle(information.getLong(Win32.THREAD_HANDLE));
            return information.getLong(Win32.PROCESS_HANDLE);
        }
    }

    private static String program() {
        return "\"" + ProcessHandle.current().info().command().orElse("rundll32.exe") + "\"";
    }

    void end(long process) {
        Long job = jobs.remove(process);
        if (job != null) {
            Win32.TerminateProcess(process, 0);
            Win32.CloseHandle(process);
            Win32.CloseHandle(job);
        }
    }

    static boolean hasEnded(long process) {
        return Win32.WaitForSingleObject(process, 0) == Win32.ENDED;
    }

    /** Maps all of a section. @return where, or an HRESULT below zero */
    static long map(long process, int section) {
        try (Memory base = new Memory(Long.BYTES);
                Memory offset = new Memory(Long.BYTES);
                Memory size = new Memory(Long.BYTES)) {
            base.clear();
            offset.clear();
            size.clear();
            int status = NtDll.NtMapViewOfSection(
                    section, process, base, 0, 0, offset, size, NtDll.VIEW_UNMAP, 0, NtDll.PAGE_READWRITE);
            return status < 0 ? status | NT : base.getLong(0);
        }
    }

    static void unmap(long process, long address) {
        NtDll.NtUnmapViewOfSection(process, address);
    }

    private static long lastError() {
        return WIN32 | (Native.getLastError() & 0xffff);
    }

    @Override
    public void close() {
        jobs.keySet().forEach(this::end);
        NtDll.release();
        Win32.release();
    }
}

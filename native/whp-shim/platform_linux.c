/* On Linux the handle of a process is its number; -1 or 0 is this one. */
#include "shim.h"

#include <signal.h>
#include <unistd.h>

int process_of(HANDLE handle) {
    intptr_t number = (intptr_t)handle;
    if (number == -1 || number == 0 || number == getpid()) return 0;
    return number > 0 && number < 1 << 30 && kill((pid_t)number, 0) == 0 ? (int)number : -1;
}

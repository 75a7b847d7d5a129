/* Windows programs load and free a DLL as they like; each time it is to work. A line and status 1 if it does not. */
#include <stdio.h>
#include <windows.h>

typedef HRESULT WINAPI capability(UINT32, void *, UINT32, UINT32 *);

int main(void) {
    for (int i = 0; i < 20; i++) {
        HMODULE library = LoadLibraryA("WinHvPlatform.dll");
        capability *get = library ? (capability *)(void *)GetProcAddress(library, "WHvGetCapability") : NULL;
        UINT64 value[8];
        UINT32 written;
        if (!get || get(0, value, sizeof value, &written) != S_OK) {
            printf("FAILED loaded again %d times: %lu\n", i, GetLastError());
            return 1;
        }
        FreeLibrary(library);
    }
    printf("ok the library is loaded and freed again and again\n");
    return 0;
}

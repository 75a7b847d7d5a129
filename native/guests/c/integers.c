/*
 * What compilers make of plain integer C: sorting, checksums, tables, recursion, long arithmetic, interpreters. It prints a line
 * for each result, "name value", byte by byte to CONSOLE, and ends with a write to END. For user code in long mode, loaded and entered
 * at 0x10000, with the memory behind it zero, and a stack. Who runs it computes the same in another language.
 *
 * Built by the tests that run it, with whatever gcc there is and at several levels of optimization, so it is not among the committed
 * programs:
 *   gcc -O2 -ffreestanding -fno-pic -no-pie -mno-red-zone -mgeneral-regs-only -nostdlib -static -Wl,-T,integers.ld -o FILE integers.c -lgcc
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long s64;
typedef unsigned __int128 u128;
typedef __int128 s128;

#define CONSOLE ((volatile u8 *)0x30000000)
#define END ((volatile u8 *)0x30001000)
#define COUNT 2000
#define BYTES 16384

void *memcpy(void *to, const void *from, u64 n) {
    u8 *t = to;
    const u8 *f = from;
    while (n--) *t++ = *f++;
    return to;
}

void *memset(void *to, int c, u64 n) {
    u8 *t = to;
    while (n--) *t++ = (u8)c;
    return to;
}

void *memmove(void *to, const void *from, u64 n) {
    u8 *t = to;
    const u8 *f = from;
    if (t < f) return memcpy(to, from, n);
    while (n--) t[n] = f[n];
    return to;
}

static void put(const char *text) {
    while (*text) *CONSOLE = (u8)*text++;
}

static void put_unsigned(u64 value) {
    char digits[24];
    int at = 23;
    digits[at] = 0;
    do digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    put(digits + at);
}

static void put_signed(s64 value) {
    if (value < 0) {
        put("-");
        put_unsigned(-(u64)value);
    } else {
        put_unsigned((u64)value);
    }
}

static void result(const char *name, u64 value) {
    put(name);
    put(" ");
    put_signed((s64)value);
    put("\n");
}

static u64 state;

static u64 next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static u64 fold(u64 digest, u64 value) {
    return digest * 31 + value;
}

/* Sorting, by recursion. */

static s32 numbers[COUNT];

static void sort(s32 *a, int low, int high) {
    while (low < high) {
        s32 pivot = a[(low + high) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (a[i] < pivot) i++;
            while (a[j] > pivot) j--;
            if (i <= j) {
                s32 t = a[i];
                a[i++] = a[j];
                a[j--] = t;
            }
        }
        sort(a, low, j);
        low = i;
    }
}

static void sorting(void) {
    u64 digest = 0;
    for (int i = 0; i < COUNT; i++) numbers[i] = (s32)next();
    sort(numbers, 0, COUNT - 1);
    for (int i = 0; i < COUNT; i++) digest = fold(digest, (u64)(s64)numbers[i]);
    result("sort", digest);
}

/* Checksums. */

static u8 bytes[BYTES];

static u32 crc_table[256];

static void checksums(void) {
    static const u32 k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
        0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
        0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
        0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
        0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
        0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    };
    u32 h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    static u8 padded[BYTES + 64];
    u32 crc = ~0u;

    for (int i = 0; i < BYTES; i++) bytes[i] = (u8)(next() >> 24);
    for (u32 i = 0; i < 256; i++) {
        u32 c = i;
        for (int j = 0; j < 8; j++) c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
        crc_table[i] = c;
    }
    for (int i = 0; i < BYTES; i++) crc = crc >> 8 ^ crc_table[(crc ^ bytes[i]) & 0xff];
    result("crc32", (u32)~crc);

    memcpy(padded, bytes, BYTES);
    padded[BYTES] = 0x80;
    for (int i = 0; i < 8; i++) padded[BYTES + 56 + i] = (u8)((u64)BYTES * 8 >> (56 - 8 * i));
#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))
    for (int block = 0; block < BYTES + 64; block += 64) {
        u32 w[64], v[8];
        for (int i = 0; i < 16; i++) w[i] = __builtin_bswap32(*(u32 *)(padded + block + 4 * i));
        for (int i = 16; i < 64; i++) {
            u32 a = ROTATE(w[i - 15], 7) ^ ROTATE(w[i - 15], 18) ^ w[i - 15] >> 3;
            u32 b = ROTATE(w[i - 2], 17) ^ ROTATE(w[i - 2], 19) ^ w[i - 2] >> 10;
            w[i] = w[i - 16] + a + w[i - 7] + b;
        }
        for (int i = 0; i < 8; i++) v[i] = h[i];
        for (int i = 0; i < 64; i++) {
            u32 a = ROTATE(v[4], 6) ^ ROTATE(v[4], 11) ^ ROTATE(v[4], 25);
            u32 t = v[7] + a + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
            u32 b = ROTATE(v[0], 2) ^ ROTATE(v[0], 13) ^ ROTATE(v[0], 22);
            u32 m = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            for (int j = 7; j > 0; j--) v[j] = v[j - 1];
            v[4] += t;
            v[0] = t + b + m;
        }
        for (int i = 0; i < 8; i++) h[i] += v[i];
    }
    for (int i = 0; i < 8; i++) result("sha256", h[i]);
}

/* A hash table with open addressing. */

struct entry {
    u64 key;
    u32 count;
    s16 first;
    u8 used : 1, even : 1;
};

static struct entry table[1024];

static void hashing(void) {
    u64 digest = 0;
    int entries = 0;
    for (int i = 0; i < 3000; i++) {
        u64 key = next() % 700;
        u32 at = (u32)((key * 0x9e3779b97f4a7c15ul) >> 54);
        while (table[at].used && table[at].key != key) at = (at + 1) & 1023;
        if (!table[at].used) {
            struct entry new = {.key = key, .first = (s16)(i - 1500), .used = 1, .even = !(key & 1)};
            table[at] = new;
            entries++;
        }
        table[at].count++;
    }
    for (u64 key = 0; key < 700; key++) {
        u32 at = (u32)((key * 0x9e3779b97f4a7c15ul) >> 54);
        while (table[at].used && table[at].key != key) at = (at + 1) & 1023;
        if (table[at].used) digest = fold(digest, table[at].count * 3 + (u64)(s64)table[at].first + table[at].even);
    }
    result("entries", (u64)entries);
    result("hash", digest);
}

/* Long arithmetic. */

static u64 power(u64 base, u64 exponent, u64 modulus) {
    u64 value = 1;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1) value = (u64)((u128)value * base % modulus);
        base = (u64)((u128)base * base % modulus);
    }
    return value;
}

static u32 big[64];

static void long_arithmetic(void) {
    u64 digest = 0;
    for (int i = 0; i < 200; i++) {
        u64 a = next(), b = next() >> (i & 63), c = next(), d = next() >> (i * 7 & 63);
        u128 x = (u128)a << 64 | c;
        u128 y = (u128)(i & 1 ? b : 0) << 64 | d | 1;
        u128 product = (u128)a * c;
        s128 signed_product = (s128)(s64)a * (s64)c;
        digest = fold(digest, (u64)(x / y));
        digest = fold(digest, (u64)(x % y));
        digest = fold(digest, (u64)((s128)x / (s128)y));
        digest = fold(digest, (u64)(product >> 64) + (u64)product);
        digest = fold(digest, (u64)(signed_product >> 64));
        digest = fold(digest, (u64)(x >> (i & 127)) + (u64)(x << (i & 63)));
        digest = fold(digest, (u64)((s64)a / (s64)(b | 1)) + (u64)((s64)a % (s64)(b | 1)));
        digest = fold(digest, (u64)(s64)((s32)a / (s32)((u32)c | 1)) + (u32)a % ((u32)d | 1));
        digest = fold(digest, (u64)(s64)((s16)a / (s16)((u16)c | 1)) + (u64)(s64)((s8)a % (s8)((u8)c | 1)));
    }
    result("divide", digest);
    result("power", power(3, 0x123456789abcdeful, 0x1ffffffffffffffful));

    int length = 1;
    big[0] = 1;
    for (u32 n = 2; n <= 150; n++) {
        u64 carry = 0;
        for (int i = 0; i < length; i++) {
            carry += (u64)big[i] * n;
            big[i] = (u32)carry;
            carry >>= 32;
        }
        if (carry) big[length++] = (u32)carry;
    }
    char digits[300];
    int at = 299;
    digits[at] = 0;
    while (length) {
        u64 rest = 0;
        for (int i = length - 1; i >= 0; i--) {
            rest = rest << 32 | big[i];
            big[i] = (u32)(rest / 10);
            rest %= 10;
        }
        digits[--at] = (char)('0' + rest);
        if (!big[length - 1]) length--;
    }
    put("factorial ");
    put(digits + at);
    put("\n");
}

/* An interpreter. */

static s64 interpret(u64 seed, int steps) {
    s64 r[4] = {1, -2, 3, -4};
    state = seed;
    for (int i = 0; i < steps; i++) {
        u64 code = next();
        s64 *to = &r[code >> 8 & 3];
        s64 from = r[code >> 10 & 3];
        switch (code & 15) {
            case 0: *to += from; break;
            case 1: *to -= from; break;
            case 2: *to *= from; break;
            case 3: *to ^= from; break;
            case 4: *to = (s8)from; break;
            case 5: *to = (u16)from; break;
            case 6: *to = (s32)*to + (s64)(u32)from; break;
            case 7: *to = from < *to; break;
            case 8: *to = (u64)from < (u64)*to ? from : *to + 1; break;
            case 9: *to = *to << (from & 63); break;
            case 10: *to = *to >> (from & 63); break;
            case 11: *to = (s64)((u64)*to >> (from & 63)); break;
            case 12: *to = (s64)((u64)*to << (from & 63) | (u64)*to >> (-from & 63)); break;
            case 13: *to = from == 0 ? -1 : ~from; break;
            case 14: *to = (s64)code; break;
            default: *to = (s64)__builtin_bswap64((u64)from); break;
        }
    }
    return r[0] ^ (r[1] + r[2]) ^ r[3];
}

static u32 fibonacci(u32 n) {
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static u32 ackermann(u32 m, u32 n) {
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

/* Bits. */

static void bits(void) {
    u64 digest = 0, overflows = 0;
    for (int i = 0; i < 500; i++) {
        u64 x = next() >> (i & 63);
        u64 y = next();
        digest = fold(digest, (u64)__builtin_popcountl(x));
        if (x) digest = fold(digest, (u64)(__builtin_clzl(x) * 64 + __builtin_ctzl(x)));
        if ((u32)x) digest = fold(digest, (u64)(__builtin_clz((u32)x) * 64 + __builtin_ctz((u32)x)));
        digest = fold(digest, x & -x);
        digest = fold(digest, (y >> (i & 63)) & 1 ? y & ~(1ul << (i & 63)) : y | 1ul << (i & 63));
        s32 a;
        s64 b;
        overflows = overflows << 1 | (overflows >> 63);
        overflows ^= (u64)__builtin_add_overflow((s32)x, (s32)y, &a);
        digest = fold(digest, (u64)(s64)a);
        overflows = overflows * 3 + (u64)__builtin_mul_overflow((s64)x, (s64)(y >> 40), &b);
        digest = fold(digest, (u64)b);
        overflows = overflows * 3 + (u64)__builtin_sub_overflow((s64)x, (s64)y, &b);
        digest = fold(digest, (u64)b);
    }
    result("bits", digest);
    result("overflows", overflows);
}

/* Memory: copies of every size, overlapping and not, and what several processors would share. */

struct block {
    u64 a[7];
    u32 b;
    u16 c;
    u8 d;
};

static struct block blocks[8];
static u64 shared[4];

static void memory(void) {
    u64 digest = 0;
    for (int i = 0; i < 100; i++) {
        u64 from = next() % 300, to = next() % 300, n = next() % 200;
        memmove(bytes + to, bytes + from, n);
        u64 place = next() % 300, value = next(), length = next() % 30;
        memset(bytes + place, (int)value, length);
        blocks[i & 7].a[i % 7] = next();
        blocks[i & 7].c = (u16)i;
        blocks[(i * 5 + 1) & 7] = blocks[i & 7];
        __atomic_fetch_add(&shared[i & 3], next(), __ATOMIC_SEQ_CST);
        __atomic_fetch_or(&shared[(i + 1) & 3], from << 40, __ATOMIC_SEQ_CST);
        u64 expected = shared[2];
        if (i & 1) expected++;
        if (__atomic_compare_exchange_n(&shared[2], &expected, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) digest++;
        digest = fold(digest, __atomic_exchange_n((u32 *)&shared[3], (u32)n, __ATOMIC_SEQ_CST));
    }
    for (int i = 0; i < 600; i++) digest = fold(digest, bytes[i]);
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 7; j++) digest = fold(digest, blocks[i].a[j]);
        digest = fold(digest, blocks[i].c);
    }
    for (int i = 0; i < 4; i++) digest = fold(digest, shared[i]);
    result("memory", digest);
}

static u8 composite[20000];
static s16 matrix[3][16][16];

static void loops(void) {
    u64 primes = 0, digest = 0;
    for (u32 i = 2; i < 20000; i++) {
        if (composite[i]) continue;
        primes++;
        for (u32 j = i * 2; j < 20000; j += i) composite[j] = 1;
    }
    result("primes", primes);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            matrix[0][i][j] = (s16)next();
            matrix[1][i][j] = (s16)next();
        }
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            s16 sum = 0;
            for (int n = 0; n < 16; n++) sum += (s16)(matrix[0][i][n] * matrix[1][n][j]);
            matrix[2][i][j] = sum;
            digest = fold(digest, (u64)(s64)sum);
        }
    result("matrix", digest);
}

__attribute__((section(".start"))) void start(void) {
    state = 0x123456789abcdeful;
    sorting();
    checksums();
    hashing();
    long_arithmetic();
    bits();
    memory();
    loops();
    result("fibonacci", fibonacci(18));
    result("ackermann", ackermann(2, 30));
    for (u64 i = 1; i < 6; i++) result("interpreter", (u64)interpret(i * 0x9e3779b97f4a7c15ul, 2000));
    *END = 0;
    for (;;) {
    }
}

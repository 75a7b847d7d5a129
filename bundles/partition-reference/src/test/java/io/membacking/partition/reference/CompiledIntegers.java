package io.membacking.partition.reference;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.zip.CRC32;

/** What the guest program {@code native/guests/c/integers.c} prints, computed here. */
final class CompiledIntegers {
    private static final int COUNT = 2000;
    private static final int BYTES = 16384;

    private final StringBuilder text = new StringBuilder();
    private final byte[] bytes = new byte[BYTES];
    private long state = 0x123456789abcdefL;

    static String expected() throws Exception {
        CompiledIntegers all = new CompiledIntegers();
        all.sorting();
        all.checksums();
        all.hashing();
        all.longArithmetic();
        all.bits();
        all.memory();
        all.loops();
        all.result("fibonacci", 2584);
        all.result("ackermann", 63);
        for (long i = 1; i < 6; i++) {
            all.result("interpreter", all.interpret(i * 0x9e3779b97f4a7c15L, 2000));
        }
        return all.text.toString();
    }

    private void result(String name, long value) {
        text.append(name).append(' ').append(value).append('\n');
    }

    private long next() {
        state ^= state << 13;
        state ^= state >>> 7;
        state ^= state << 17;
        return state;
    }

    private static long fold(long digest, long value) {
        return digest * 31 + value;
    }

    private void sorting() {
        int[] numbers = new int[COUNT];
        for (int i = 0; i < COUNT; i++) {
            numbers[i] = (int) next();
        }
        Arrays.sort(numbers);
        result("sort", Arrays.stream(numbers).asLongStream().reduce(0, CompiledIntegers::fold));
    }

    private void checksums() throws Exception {
        for (int i = 0; i < BYTES; i++) {
            bytes[i] = (byte) (next() >>> 24);
        }
        CRC32 crc = new CRC32();
        crc.update(bytes);
        result("crc32", crc.getValue());
        ByteBuffer hash = ByteBuffer.wrap(MessageDigest.getInstance("SHA-256").digest(bytes));
        for (int i = 0; i < 8; i++) {
            result("sha256", hash.getInt() & 0xffffffffL);
        }
    }

    private void hashing() {
        int[] counts = new int[700];
        int[] first = new int[700];
        for (int i = 0; i < 3000; i++) {
            int key = (int) Long.remainderUnsigned(next(), 700);
            if (counts[key]++ == 0) {
                first[key] = i - 1500;
            }
        }
        long digest = 0;
        int entries = 0;
        for (int key = 0; key < 700; key++) {
            if (counts[key] > 0) {
                entries++;
                digest = fold(digest, counts[key] * 3L + first[key] + (key % 2 == 0 ? 1 : 0));
            }
        }
        result("entries", entries);
        result("hash", digest);
    }

    private static BigInteger unsigned(long value) {
        return new BigInteger(Long.toUnsignedString(value));
    }

    private static BigInteger wide(long high, long low) {
        return unsigned(high).shiftLeft(64).or(unsigned(low));
    }

    private static BigInteger signed(BigInteger value) {
        return value.testBit(127) ? value.subtract(BigInteger.ONE.shiftLeft(128)) : value;
    }

    private void longArithmetic() {
        long digest = 0;
        for (int i = 0; i < 200; i++) {
            long a = next();
            long b = next() >>> (i & 63);
            long c = next();
            long d = next() >>> (i * 7 & 63);
            BigInteger x = wide(a, c);
            BigInteger y = wide((i & 1) != 0 ? b : 0, d | 1);
            BigInteger product = unsigned(a).multiply(unsigned(c));
            digest = fold(digest, x.divide(y).longValue());
            digest = fold(digest, x.mod(y).longValue());
            digest = fold(digest, signed(x).divide(signed(y)).longValue());
            digest = fold(digest, product.shiftRight(64).longValue() + product.longValue());
            digest = fold(digest, Math.multiplyHigh(a, c));
            digest = fold(
                    digest,
                    x.shiftRight(i & 127).longValue() + x.shiftLeft(i & 63).longValue());
            digest = fold(digest, a / (b | 1) + a % (b | 1));
            digest = fold(
                    digest,
                    (int) a / ((int) c | 1) + Integer.toUnsignedLong(Integer.remainderUnsigned((int) a, (int) d | 1)));
            digest = fold(digest, (short) a / (short) ((short) c | 1) + (byte) a % (byte) ((byte) c | 1));
        }
        result("divide", digest);
        result(
                "power",
                BigInteger.valueOf(3)
                        .modPow(BigInteger.valueOf(0x123456789abcdefL), BigInteger.valueOf(0x1fffffffffffffffL))
                        .longValue());
        BigInteger factorial = BigInteger.ONE;
        for (int n = 2; n <= 150; n++) {
            factorial = factorial.multiply(BigInteger.valueOf(n));
        }
        text.append("factorial ").append(factorial).append('\n');
    }

    private long interpret(long seed, int steps) {
        long[] r = {1, -2, 3, -4};
        state = seed;
        for (int i = 0; i < steps; i++) {
            long code = next();
            int to = (int) (code >> 8 & 3);
            long old = r[to];
            long from = r[(int) (code >> 10 & 3)];
            r[to] = switch ((int) code & 15) {
                case 0 -> old + from;
                case 1 -> old - from;
                case 2 -> old * from;
                case 3 -> old ^ from;
                case 4 -> (byte) from;
                case 5 -> from & 0xffff;
                case 6 -> (int) old + (from & 0xffffffffL);
                case 7 -> from < old ? 1 : 0;
                case 8 -> Long.compareUnsigned(from, old) < 0 ? from : old + 1;
                case 9 -> old << from;
                case 10 -> old >> from;
                case 11 -> old >>> from;
                case 12 -> Long.rotateLeft(old, (int) from);
                case 13 -> from == 0 ? -1 : ~from;
                case 14 -> code;
                default -> Long.reverseBytes(from);
            };
        }
        return r[0] ^ (r[1] + r[2]) ^ r[3];
    }

    private void bits() {
        long digest = 0;
        long overflows = 0;
        for (int i = 0; i < 500; i++) {
            long x = next() >>> (i & 63);
            long y = next();
            int low = (int) x;
            digest = fold(digest, Long.bitCount(x));
            if (x != 0) {
                digest = fold(digest, Long.numberOfLeadingZeros(x) * 64L + Long.numberOfTrailingZeros(x));
            }
            if (low != 0) {
                digest = fold(digest, Integer.numberOfLeadingZeros(low) * 64L + Integer.numberOfTrailingZeros(low));
            }
            digest = fold(digest, Long.lowestOneBit(x));
            long bit = 1L << i;
            digest = fold(digest, y ^ bit);
            overflows = Long.rotateLeft(overflows, 1);
            int sum = low + (int) y;
            overflows ^= (long) low + (int) y != sum ? 1 : 0;
            digest = fold(digest, sum);
            long factor = y >>> 40;
            overflows = overflows * 3 + (Math.multiplyHigh(x, factor) != (x * factor) >> 63 ? 1 : 0);
            digest = fold(digest, x * factor);
            long difference = x - y;
            overflows = overflows * 3 + ((x ^ y) < 0 && (x ^ difference) < 0 ? 1 : 0);
            digest = fold(digest, difference);
        }
        result("bits", digest);
        result("overflows", overflows);
    }

    private void memory() {
        long digest = 0;
        long[][] blocks = new long[8][8]; // seven words and a number
        ByteBuffer shared = ByteBuffer.allocate(32).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < 100; i++) {
            long from = Long.remainderUnsigned(next(), 300);
            long to = Long.remainderUnsigned(next(), 300);
            long n = Long.remainderUnsigned(next(), 200);
            System.arraycopy(bytes, (int) from, bytes, (int) to, (int) n);
            int place = (int) Long.remainderUnsigned(next(), 300);
            byte value = (byte) next();
            Arrays.fill(bytes, place, place + (int) Long.remainderUnsigned(next(), 30), value);
            blocks[i & 7][i % 7] = next();
            blocks[i & 7][7] = i;
            blocks[(i * 5 + 1) & 7] = blocks[i & 7].clone();
            add(shared, i & 3, next());
            int or = 8 * ((i + 1) & 3);
            shared.putLong(or, shared.getLong(or) | from << 40);
            if ((i & 1) == 0) {
                shared.putLong(16, to);
                digest++;
            }
            digest = fold(digest, Integer.toUnsignedLong(shared.getInt(24)));
            shared.putInt(24, (int) n);
        }
        for (int i = 0; i < 600; i++) {
            digest = fold(digest, bytes[i] & 0xff);
        }
        for (long[] block : blocks) {
            for (long word : block) {
                digest = fold(digest, word);
            }
        }
        for (int i = 0; i < 4; i++) {
            digest = fold(digest, shared.getLong(8 * i));
        }
        result("memory", digest);
    }

    private static void add(ByteBuffer words, int index, long value) {
        words.putLong(8 * index, words.getLong(8 * index) + value);
    }

    private void loops() {
        result(
                "primes",
                IntStream.range(2, 20000)
                        .filter(n -> BigInteger.valueOf(n).isProbablePrime(30))
                        .count());
        short[][][] matrix = new short[2][16][16];
        for (int i = 0; i < 16; i++) {
            for (int j = 0; j < 16; j++) {
                matrix[0][i][j] = (short) next();
                matrix[1][i][j] = (short) next();
            }
        }
        long digest = 0;
        for (int i = 0; i < 16; i++) {
            for (int j = 0; j < 16; j++) {
                int sum = 0;
                for (int n = 0; n < 16; n++) {
                    sum += matrix[0][i][n] * matrix[1][n][j];
                }
                digest = fold(digest, (short) sum);
            }
        }
        result("matrix", digest);
    }
}

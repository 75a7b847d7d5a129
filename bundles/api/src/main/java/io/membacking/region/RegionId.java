package io.membacking.region;

/**
 * Names a region of one guest for as long as the guest lives; numbers are not used twice.
 *
 * @param number counts up from 1 in the order of creation, which decides between equals
 * @param name for people; need not be unique
 */
public record RegionId(int number, String name) {
    @Override
    public String toString() {
        return name + "#" + number;
    }
}

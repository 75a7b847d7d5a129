package io.membacking.memory.internal;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.osgi.service.metatype.annotations.Option;

/**
 * What can be configured of a guest's memory. Sizes and addresses are bytes, decimal or hexadecimal, with or without a suffix
 * K, M, G or T of powers of 1024; ranges are {@code start-end}, the end exclusive.
 */
@ObjectClassDefinition(
        name = "Membacking guest memory",
        description =
                "The memory of one guest. What is edited while the guest lives is reported and takes effect when it is"
                        + " built anew: an edit never ends a guest.")
public @interface GuestConfig {
    @AttributeDefinition(name = "Name", description = "Name of the guest; unique, without '/'", min = "1")
    String name();

    @AttributeDefinition(
            name = "Memory",
            description =
                    "Size of RAM, from 4K on: 512M, 4G. Laid out from 0 on, around the MMIO gaps and the VTL2 range",
            required = false)
    String memory() default "512M";

    @AttributeDefinition(
            name = "RAM ranges",
            description = "Explicit RAM ranges in ascending order instead of a size: 0x0-0xc0000000,"
                    + " or with a virtual NUMA node 4G-8G@1",
            required = false)
    String[] ram() default {};

    @AttributeDefinition(name = "MMIO gaps", description = "Ranges without RAM, in any order: 3G-4G", required = false)
    String[] mmio() default {};

    @AttributeDefinition(name = "VTL2 range", description = "RAM for VTL2; none if empty", required = false)
    String vtl2() default "";

    @AttributeDefinition(
            name = "Alias map offset",
            description = "Where VTL2 sees VTL0's memory a second time: page aligned, at least the end of the layout;"
                    + " nowhere if empty",
            required = false)
    String alias_map_offset() default "";

    @AttributeDefinition(
            name = "x86 legacy support",
            description =
                    "Whether RAM below 1 MiB is split, so that VGA memory and the PAM segments are controlled one by one",
            required = false)
    boolean x86_legacy() default false;

    @AttributeDefinition(
            name = "Pinning",
            description = "Whether every mapping of every attachment is pinned",
            required = false)
    boolean pinning() default false;

    @AttributeDefinition(
            name = "Prefetch",
            description = "Whether RAM is populated when the guest is built",
            required = false)
    boolean prefetch() default false;

    @AttributeDefinition(
            name = "Backing",
            description = "What holds the bytes",
            options = {
                @Option(label = "Shared memory", value = "shared"),
                @Option(label = "Private memory", value = "private"),
                @Option(label = "Huge pages from a pool", value = "hugetlb")
            },
            required = false)
    String backing() default "shared";

    @AttributeDefinition(
            name = "Huge page size",
            description = "Page size of hugetlb backing, a power of two: 2M, 1G",
            required = false)
    String huge_page_size() default "2M";

    @AttributeDefinition(
            name = "Transparent huge pages",
            description = "Whether to ask for them, for shared and private backing",
            required = false)
    boolean transparent_huge_pages() default false;

    @AttributeDefinition(
            name = "Host NUMA node",
            description = "The host's node to take RAM from; -1 for any",
            min = "-1",
            max = "1023",
            required = false)
    int host_node() default -1;
}

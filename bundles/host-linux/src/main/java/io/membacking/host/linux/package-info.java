/** Host memory on Linux: address space, memfd and anonymous backings, sealing and sharing. */
@org.jspecify.annotations.NullMarked
package io.membacking.host.linux;

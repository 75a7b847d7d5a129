/** Virtual machines: the chosen backend, the processors and their threads. */
@org.jspecify.annotations.NullMarked
package io.membacking.vm.internal;

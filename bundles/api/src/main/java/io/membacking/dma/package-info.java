/**
 * The SPI of DMA targets: consumers of guest memory other than processors.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.dma;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;

/**
 * Tests that run inside Felix on Windows: what guests see of their memory on the Windows Hypervisor Platform, with host memory made of
 * Windows sections. They know nothing of Wine; what they find missing they name.
 */
@NullMarked
package io.membacking.itests.windows;

import org.jspecify.annotations.NullMarked;

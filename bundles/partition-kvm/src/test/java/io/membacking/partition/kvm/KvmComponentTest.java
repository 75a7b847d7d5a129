package io.membacking.partition.kvm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.partition.Capabilities;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.contract.BackendRequirement;
import java.lang.reflect.Proxy;
import java.util.Dictionary;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.ServiceRegistration;

class KvmComponentTest {
    private Dictionary<String, ?> properties = FrameworkUtil.asDictionary(Map.of());
    private Object service = "none";
    private boolean usableWhenUnregistered;
    private boolean frameworkWasFaster;

    @Test
    void theServiceHasNameRankingAndCapabilitiesAndIsGoneBeforeItEnds() {
        KvmComponent component = new KvmComponent(context(), ranking(3));
        KvmBackend backend = assertInstanceOf(KvmBackend.class, service);
        assertEquals("kvm", properties.get(PartitionBackend.NAME));
        assertEquals(3, properties.get(Constants.SERVICE_RANKING));
        Map<String, Object> capabilities = backend.capabilities().asProperties();
        assertTrue(capabilities.containsKey(Capabilities.READ_ONLY_MEMORY));
        capabilities.forEach((name, value) -> assertEquals(value, properties.get(name)));

        component.modified(ranking(-7));
        assertEquals(-7, properties.get(Constants.SERVICE_RANKING));
        assertEquals("kvm", properties.get(PartitionBackend.NAME));

        boolean usable = backend.availability().usable();
        component.deactivate();
        assertEquals("none", service);
        assertEquals(usable, usableWhenUnregistered);
        assertFalse(backend.availability().usable());
    }

    @Test
    void capabilitiesArePublishedOnceKvmCanBeAsked(TestInfo test) {
        try (KvmBackend present = new KvmBackend()) {
            BackendRequirement.require(present, test);
        }
        boolean[] absent = {true};
        FailingSyscalls calls =
                new FailingSyscalls((call, request) -> absent[0] && call.equals("open") ? Errno.ENOENT : 0);
        KvmComponent component = new KvmComponent(new KvmBackend(calls), context(), ranking(3));
        KvmBackend backend = assertInstanceOf(KvmBackend.class, service);
        assertFalse(backend.availability().usable());
        assertEquals(32, properties.get(Capabilities.MAX_MAPPINGS));
        absent[0] = false;
        assertTrue(backend.availability().usable());
        Map<String, Object> capabilities = backend.capabilities().asProperties();
        assertTrue((Integer) capabilities.get(Capabilities.MAX_MAPPINGS) > 32);
        capabilities.forEach((name, value) -> assertEquals(value, properties.get(name)));
        assertEquals(3, properties.get(Constants.SERVICE_RANKING));
        component.deactivate();
    }

    @Test
    void aRegistrationThatIsGoneAlreadyDoesNotKeepItFromEnding() {
        KvmComponent component = new KvmComponent(context(), ranking(0));
        KvmBackend backend = assertInstanceOf(KvmBackend.class, service);
        frameworkWasFaster = true;
        component.deactivate();
        assertFalse(backend.availability().usable());
    }

    private static KvmConfiguration ranking(int value) {
        return (KvmConfiguration) Proxy.newProxyInstance(
                KvmComponentTest.class.getClassLoader(), new Class<?>[] {KvmConfiguration.class}, (p, method, none) -> {
                    assertEquals("service_ranking", method.getName());
                    return value;
                });
    }

    @SuppressWarnings("unchecked")
    private BundleContext context() {
        ServiceRegistration<PartitionBackend> registration =
                (ServiceRegistration<PartitionBackend>) Proxy.newProxyInstance(
                        getClass().getClassLoader(),
                        new Class<?>[] {ServiceRegistration.class},
                        (p, method, arguments) -> {
                            switch (method.getName()) {
                                case "setProperties" -> properties = (Dictionary<String, ?>) arguments[0];
                                case "unregister" -> {
                                    if (frameworkWasFaster) {
                                        throw new IllegalStateException("already unregistered");
                                    }
                                    usableWhenUnregistered = ((PartitionBackend) service)
                                            .availability()
                                            .usable();
                                    service = "none";
                                }
                                default -> throw new UnsupportedOperationException(method.getName());
                            }
                            return null;
                        });
        return (BundleContext) Proxy.newProxyInstance(
                getClass().getClassLoader(), new Class<?>[] {BundleContext.class}, (p, method, arguments) -> {
                    if (!method.getName().equals("registerService")) {
                        throw new UnsupportedOperationException(method.getName());
                    }
                    assertEquals(PartitionBackend.class, arguments[0]);
                    service = arguments[1];
                    properties = (Dictionary<String, ?>) arguments[2];
                    return registration;
                });
    }
}

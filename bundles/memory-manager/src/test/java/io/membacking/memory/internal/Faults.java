package io.membacking.memory.internal;

import io.membacking.error.AllocationException;
import io.membacking.error.Failure;
import io.membacking.error.HostMappingException;
import io.membacking.host.Backing;
import io.membacking.region.Change;
import io.membacking.region.RegionManager;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The real services with one call that fails: what is handed out is wrapped as well, so that every call of a build is counted,
 * and what is handed in is unwrapped, so that the real thing never meets a wrapper.
 */
final class Faults {
    private static final Set<Class<?>> WRAPPED =
            Set.of(Backing.class, Backing.Claim.class, RegionManager.class, Change.class);

    /** Calls that cannot fail, or that ask for nothing but a value. */
    private static final Set<String> SAFE = Set.of(
            "close",
            "id",
            "name",
            "kind",
            "size",
            "pageSize",
            "capabilities",
            "host",
            "toString",
            "hashCode",
            "equals");

    private final List<String> calls = new ArrayList<>();
    private int failAt = Integer.MAX_VALUE;

    /** Calls so far, as class and method. */
    List<String> calls() {
        return List.copyOf(calls);
    }

    /** Starts counting anew. @param call the number of the call to fail, from 0 */
    void failAt(int call) {
        calls.clear();
        failAt = call;
    }

    <T> T wrap(Class<T> type, T real) {
        return type.cast(
                Proxy.newProxyInstance(Faults.class.getClassLoader(), new Class<?>[] {type}, new Wrapper(type, real)));
    }

    private final class Wrapper implements InvocationHandler {
        private final Class<?> type;
        private final Object real;

        Wrapper(Class<?> type, Object real) {
            this.type = type;
            this.real = real;
        }

        @Override
        public Object invoke(Object proxy, Method method, Object[] arguments) throws Throwable {
            if (!SAFE.contains(method.getName())) {
                String call = type.getSimpleName() + "." + method.getName();
                calls.add(call);
                if (calls.size() - 1 == failAt) {
                    throw failure(call, method);
                }
            }
            Object[] unwrapped = arguments == null ? new Object[0] : arguments.clone();
            for (int i = 0; i < unwrapped.length; i++) {
                unwrapped[i] = unwrap(unwrapped[i]);
            }
            Object result;
            try {
                result = method.invoke(real, unwrapped);
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
            if (result == real) {
                return proxy;
            }
            return WRAPPED.contains(method.getReturnType())
                    ? Faults.this.<Object>wrap(rawtype(method.getReturnType()), result)
                    : result;
        }

        @SuppressWarnings("unchecked")
        private static Class<Object> rawtype(Class<?> type) {
            return (Class<Object>) type;
        }
    }

    private static Object unwrap(Object argument) {
        return argument != null
                        && Proxy.isProxyClass(argument.getClass())
                        && Proxy.getInvocationHandler(argument) instanceof Wrapper wrapper
                ? wrapper.real
                : argument;
    }

    private static Exception failure(String call, Method method) {
        Failure failure = Failure.of("test", null, "injected into " + call, "");
        for (Class<?> declared : method.getExceptionTypes()) {
            if (declared.isAssignableFrom(AllocationException.class)) {
                return new AllocationException(failure);
            }
            if (declared.isAssignableFrom(HostMappingException.class)) {
                return new HostMappingException(failure);
            }
        }
        return new IllegalStateException("injected into " + call);
    }
}

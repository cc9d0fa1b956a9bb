"""The bundled tasks: two in four languages, from one small grammar."""

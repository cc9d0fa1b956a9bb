"""The two bundled tasks, in four languages, from one small grammar."""

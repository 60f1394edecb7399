"""The use cases of Magpie. Imports the standard library only; everything outside is reached through `ports`."""

"""Settings of the register step."""

from components.registry import RegistrySettings
from components.step.settings import Section


class Settings(Section):
    """Sections of the recipe that the step reads."""

    registry: RegistrySettings = RegistrySettings()

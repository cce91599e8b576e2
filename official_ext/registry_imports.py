"""Importing this module registers everything with Model Garden."""

# pylint: disable=unused-import
from official.vision import registry_imports  # noqa: F401

from official_ext import legacy_keras
from official_ext.configs import detection  # noqa: F401
from official_ext.configs import fine_tuning  # noqa: F401
from official_ext.configs import image_classification  # noqa: F401
from official_ext.configs import imagenet21k  # noqa: F401
from official_ext.configs import recipes  # noqa: F401
from official_ext.configs import semantic_segmentation  # noqa: F401
from official_ext.modeling import funnel_vit  # noqa: F401
from official_ext.tasks import detection as boxes  # noqa: F401
from official_ext.tasks import image_classification as task  # noqa: F401
from official_ext.tasks import semantic_segmentation as dense  # noqa: F401

legacy_keras.check()

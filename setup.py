"""Packaging of Funnel-ViT for TensorFlow Model Garden."""

import pathlib

import setuptools

ROOT = pathlib.Path(__file__).parent

# Ranges that both the main line (TensorFlow 2.20) and TensorFlow 2.15 meet;
# requirements/lock.txt holds the exact versions that are tested.
INSTALL_REQUIRES = [
    'absl-py>=1.4',
    # Paths on gs:// and other stores, with the extra gcs or its like.
    'fsspec>=2023.6',
    'gin-config>=0.5',
    'google-crc32c>=1.5',
    'matplotlib>=3.7',
    'numpy>=1.23',
    'Pillow>=9.5',
    'protobuf>=4.21',
    'PyYAML>=6.0',
    'scikit-learn>=1.3',
    'scipy>=1.9',
    # tensorflow-hub, which Model Garden imports, needs pkg_resources: it went
    # away with setuptools 81.
    'setuptools<81',
    # Reads the event files of trainings.
    'tensorboard>=2.15',
    'tensorflow>=2.15,<2.21',
    'tensorflow-datasets>=4.9',
    # The messages of the warm-up requests in a SavedModel.
    'tensorflow-serving-api>=2.15,<2.21',
    'tf-keras>=2.15,<2.21',
    'tf-models-official>=2.15,<2.21',
    'tqdm>=4.64',
]

EXTRAS_REQUIRE = {
    # The last release of tensorflow-addons works with TensorFlow 2.15 at most,
    # and has wheels up to Python 3.11.
    'addons': [
        'numpy<2',
        # tensorflow-metadata 1.16 is generated for protobuf 5, on which
        # TensorFlow 2.15 fails.
        'protobuf<5', 'tensorflow-metadata<1.16',
        'tensorflow<2.16', 'tensorflow-addons>=0.23,<0.24',
        'tensorflow-serving-api<2.16', 'tf-keras<2.16',
        'tf-models-official<2.16'],
    'beam': ['apache-beam>=2.60'],
    'gcs': ['gcsfs>=2023.6'],
    'gpu': ['tensorflow[and-cuda]>=2.15,<2.21'],
    'litert': ['ai-edge-litert>=1.0'],
    # The client alone, which logs to a server.
    'mlflow': ['mlflow-skinny>=3.1'],
    'onnx': ['onnx>=1.16', 'onnxruntime>=1.17', 'tf2onnx>=1.16'],
    # What else there is, timed in the same run.
    'peers': ['timm>=1.0', 'torch>=2.4'],
    # Published ViTs: their files, and the hub that has them.
    'pretrained': ['huggingface_hub>=1.0', 'safetensors>=0.8'],
    'wandb': ['wandb>=0.30'],
    'dev': [
        'ai-edge-litert>=1.0', 'apache-beam>=2.60', 'huggingface_hub>=1.0',
        'hypothesis>=6.80',
        # Compiles and runs frozen steps; what is taken of its inside is younger
        # than its last release for Python 3.10.
        'jax>=0.10,<0.12; python_version >= "3.11"',
        # TFDS 4.9 imports it to build a data set, but does not ask for it.
        'importlib-resources>=5.0', 'mlflow-skinny>=3.1',
        'onnx>=1.16', 'onnxruntime>=1.17', 'tf2onnx>=1.16',
        # Opens the report of a comparison in a browser.
        'playwright>=1.40',
        'pytest>=7.4', 'pytest-xdist>=3.5', 'ruff>=0.6', 'safetensors>=0.8',
        'wandb>=0.30'],
}

setuptools.setup(
    name='funnel-vit',
    version='0.1.0',
    description='Funnel Vision Transformer for TensorFlow Model Garden',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=[
        # An archive may come without the link official_ext/data_prep.
        *setuptools.find_packages(
            include=['official_ext*'], exclude=['official_ext.data_prep*']),
        'official_ext.data_prep',
        'official_ext.experiments',
    ],
    # These folders stay at the top of the repository, where people look for
    # them, and are installed inside the package: a name such as data_prep is
    # not this project's alone.
    package_dir={
        'official_ext.data_prep': 'data_prep',
        'official_ext.experiments': 'experiments',
    },
    package_data={
        'official_ext.data_prep': ['*.txt'],
        'official_ext.tasks': ['*.tsv'],
        'official_ext.analysis': ['*.html'],
        'official_ext.pretrained': ['*.tsv'],
        'official_ext.experiments': ['*.yaml', '**/*.yaml'],
    },
    include_package_data=False,
    python_requires='>=3.10,<3.14',
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={
        'console_scripts': [
            'funnel-vit = official_ext.__main__:run',
            'funnel-vit-train = official_ext.train:run',
            'funnel-vit-evaluate = official_ext.evaluate:run',
        ],
    },
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)

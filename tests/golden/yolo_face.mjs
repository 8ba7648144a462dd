// Golden file of the YOLOv2 face detector: what its publisher's own code makes of a crop of
// assets/astronaut.png, 416 x 416 from the top left, so that nobody resizes.
//
// npm pack @vladmandic/face-api@1.7.15 and unpack it; write the crop as bytes RGB (python:
// cv2.imread("assets/astronaut.png")[:416, :416, ::-1].tofile("pixels.rgb")); then
//   node tests/golden/yolo_face.mjs PACKAGE pixels.rgb
// writes yolo_face.json beside this file. The tests need neither node nor the package.

import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const SIDE = 416;
const [folder, pixels] = process.argv.slice(2);

// The bundle is made for browsers: it must not take this process for node, whose parts it lacks.
Object.defineProperty(process, 'versions', { value: {} });
globalThis.window = globalThis;
globalThis.document = { createElement: () => ({ getContext: () => null }) };
for (const name of [
  'HTMLImageElement', 'HTMLCanvasElement', 'HTMLVideoElement', 'ImageData', 'Image',
  'CanvasRenderingContext2D',
]) globalThis[name] = class {};

const faceapi = await import(pathToFileURL(path.resolve(folder, 'dist/face-api.esm.js')).href);
await faceapi.tf.setBackend('cpu');
await faceapi.tf.ready();

const model = path.join(folder, 'model', 'tiny_face_detector_model');
const manifest = JSON.parse(fs.readFileSync(`${model}-weights_manifest.json`));
const bytes = new Uint8Array(fs.readFileSync(`${model}.bin`)).buffer;
const network = new faceapi.TinyFaceDetector();
network.loadFromWeightMap(faceapi.tf.io.decodeWeights(bytes, manifest[0].weights));

const rgb = new Uint8Array(fs.readFileSync(pixels));
const image = faceapi.tf.tensor3d(rgb, [SIDE, SIDE, 3], 'int32');
const output = await network.forward(image, SIDE);
const found = await network.locateFaces(image, { inputSize: SIDE, scoreThreshold: 0.1 });

const golden = {
  package: '@vladmandic/face-api 1.7.15',
  shape: output.shape,
  output: Array.from(output.dataSync(), (v) => Number(v.toFixed(5))),
  detections: found.map(({ score, box }) => [
    score, box.x, box.y, box.x + box.width, box.y + box.height,
  ]),
};
const target = new URL('yolo_face.json', import.meta.url);
fs.writeFileSync(target, `${JSON.stringify(golden)}\n`);
process.stdout.write(`${output.shape}, ${found.length} faces\n`);

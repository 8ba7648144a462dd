// Golden file of the face detector: what its publisher's own code makes of assets/astronaut.png.
//
// npm pack @vladmandic/face-api@1.7.15 and unpack it; write the picture as 512 x 512 x 3 bytes RGB
// (python: cv2.imread("assets/astronaut.png")[:, :, ::-1].tofile("pixels.rgb")); then
//   node tests/golden/ssd_face.mjs PACKAGE pixels.rgb
// writes ssd_face.json beside this file. The tests need neither node nor the package.

import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const EVERY = 11; // rows kept of the 5,118
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

const model = path.join(folder, 'model', 'ssd_mobilenetv1_model');
const manifest = JSON.parse(fs.readFileSync(`${model}-weights_manifest.json`));
const bytes = new Uint8Array(fs.readFileSync(`${model}.bin`)).buffer;
const network = new faceapi.SsdMobilenetv1();
network.loadFromWeightMap(faceapi.tf.io.decodeWeights(bytes, manifest[0].weights));

const rgb = new Uint8Array(fs.readFileSync(pixels));
const image = faceapi.tf.tensor3d(rgb, [512, 512, 3], 'int32');
const output = await network.forward(image);
const scores = Array.from(output.scores[0].dataSync());
const boxes = output.boxes[0].arraySync(); // y1, x1, y2, x2 as shares of the side
const found = await network.locateFaces(image, { minConfidence: 0.5 });

const kept = scores.map((_, i) => i).filter((i) => i % EVERY === 0);
const golden = {
  package: '@vladmandic/face-api 1.7.15',
  every: EVERY,
  scores: kept.map((i) => scores[i]),
  boxes: kept.map((i) => boxes[i]),
  detections: found.map(({ score, box }) => [
    score, box.x, box.y, box.x + box.width, box.y + box.height,
  ]),
};
const target = new URL('ssd_face.json', import.meta.url);
fs.writeFileSync(target, `${JSON.stringify(golden)}\n`);
process.stdout.write(`${kept.length} of ${scores.length} rows, ${found.length} faces\n`);

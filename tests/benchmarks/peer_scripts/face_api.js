// face-api.js on the images of a folder; started by peers.py with the folder that has node_modules.
const fs = require('fs');
const path = require('path');

const modules = path.resolve(process.argv[2], 'node_modules');
const wasm = require(path.join(modules, '@tensorflow/tfjs-backend-wasm'));
const faceapi = require(path.join(modules, '@vladmandic/face-api/dist/face-api.node-wasm.js'));
const SIDE = 200;

async function tell(pixels, number) {
  const image = faceapi.tf.tensor3d(new Float32Array(pixels.subarray(number * SIDE * SIDE * 3, (number + 1) * SIDE * SIDE * 3)), [SIDE, SIDE, 3]);
  const told = await faceapi.nets.ageGenderNet.predictAgeAndGender(image);
  image.dispose();
  return [told.age, told.gender === 'female' ? 1 : 0];
}

async function main() {
  wasm.setWasmPaths(`${path.join(modules, '@tensorflow/tfjs-backend-wasm/dist')}/`);
  await faceapi.tf.setBackend('wasm');
  await faceapi.tf.ready();
  await faceapi.nets.ageGenderNet.loadFromDisk(path.join(modules, '@vladmandic/face-api/model'));
  const pixels = fs.readFileSync('pixels.raw');
  await tell(pixels, 0);
  const began = performance.now();
  const told = { age: [], female: [] };
  for (let number = 0; number < pixels.length / (SIDE * SIDE * 3); number += 1) {
    const [age, female] = await tell(pixels, number);
    told.age.push(age);
    told.female.push(female);
  }
  told.seconds = [(performance.now() - began) / 1000];
  fs.writeFileSync('told.json', JSON.stringify(told));
}

main().catch((error) => { console.error(String(error)); process.exit(1); });

// FaceRes on the images of a folder, by TensorFlow.js; started by peers.py with the folder that has the model and node_modules.
// The second argument says how: `original` feeds blue, green and red less ImageNet's mean, as FaceRes was trained, and takes the
// expected age; `human` feeds red, green and blue, and reads ages, as the package @vladmandic/human does.
const fs = require('fs');
const path = require('path');

const [folder, reading] = process.argv.slice(2);
const modules = path.resolve(folder, 'node_modules');
const tf = require(path.join(modules, '@tensorflow/tfjs'));
const wasm = require(path.join(modules, '@tensorflow/tfjs-backend-wasm'));
const SIDE = 200;
const BATCH = 16;

function fromDisk(file) {
  return {
    load: async () => {
      const held = JSON.parse(fs.readFileSync(file));
      const parts = held.weightsManifest.flatMap((group) => group.paths).map((name) => fs.readFileSync(path.join(path.dirname(file), name)));
      const data = new Uint8Array(Buffer.concat(parts)).buffer;
      return { modelTopology: held.modelTopology, signature: held.signature, weightSpecs: held.weightsManifest.flatMap((group) => group.weights), weightData: data };
    },
  };
}

// Class 0 is the age 1.
function expected(probabilities) {
  return probabilities.reduce((sum, probability, number) => sum + probability * (number + 1), 0);
}

// The likeliest year, moved towards the likelier of its neighbours by ten times that one's probability.
function likeliestMoved(probabilities) {
  const likeliest = probabilities.indexOf(Math.max(...probabilities));
  const [below, above] = [probabilities[likeliest - 1], probabilities[likeliest + 1]];
  return below > above ? likeliest - 10 * below : likeliest + 10 * (above ?? 0);
}

async function tell(model, pixels, first, count) {
  const batch = tf.tensor4d(new Float32Array(pixels.subarray(first * SIDE * SIDE * 3, (first + count) * SIDE * SIDE * 3)), [count, SIDE, SIDE, 3]);
  const large = tf.image.resizeBilinear(batch, [224, 224]);
  const shown = reading === 'human' ? large : tf.sub(tf.reverse(large, 3), tf.tensor1d([103.939, 116.779, 123.68]));
  const [age, gender] = model.execute(shown, ['age_pred/Softmax', 'gender_pred/Sigmoid']);
  const told = [(await age.array()).map(reading === 'human' ? likeliestMoved : expected), (await gender.array()).map((male) => 1 - male[0])];
  tf.dispose([batch, large, shown, age, gender]);
  return told;
}

async function main() {
  wasm.setWasmPaths(`${path.join(modules, '@tensorflow/tfjs-backend-wasm/dist')}/`);
  await tf.setBackend('wasm');
  await tf.ready();
  const model = await tf.loadGraphModel(fromDisk(path.join(folder, 'faceres.json')));
  const pixels = fs.readFileSync('pixels.raw');
  const images = pixels.length / (SIDE * SIDE * 3);
  await tell(model, pixels, 0, Math.min(BATCH, images));
  const began = performance.now();
  const told = { age: [], female: [] };
  for (let first = 0; first < images; first += BATCH) {
    const [ages, women] = await tell(model, pixels, first, Math.min(BATCH, images - first));
    told.age.push(...ages);
    told.female.push(...women);
  }
  told.seconds = [(performance.now() - began) / 1000];
  fs.writeFileSync('told.json', JSON.stringify(told));
}

main().catch((error) => { console.error(String(error)); process.exit(1); });

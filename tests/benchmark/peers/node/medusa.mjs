// Medusa's inventory: what its steps confirm-inventory-step and reserve-inventory-step do when a cart is completed. The
// first asks whether enough is available, the second creates the reservation while the Locking Module holds the item's
// key. Medusa has no limit for each buyer and no idempotency key, so both are looked up under the same lock: the
// reservation's id is the caller's, and its line item is the buyer's one line for this SKU: Medusa has an index for it.
import { createRequire } from 'node:module';
import { Outcome } from './outcome.mjs';
import { countStored, readDsn, runFile, urlOf } from './postgres.mjs';

// CommonJS: an import would run some of its files twice.
const require = createRequire(import.meta.url);

const LOCATION = 'warehouse';
const LOCK_TIMED_OUT = 'Timed-out acquiring lock.';

function lineOf(claim) {
  return `${claim.skuId}/${claim.userId}`;
}

export class MedusaPeer {
  #server; // where --prepare makes the database
  #address;
  #sideBySide;
  #inventory;
  #locking;
  #modules;
  #errors;

  constructor(dsn, sideBySide) {
    this.#server = readDsn(dsn);
    this.#address = { ...this.#server, database: 'peer_medusa' };
    this.#sideBySide = sideBySide;
  }

  // A pool for each module. Medusa's default is one for all: then the claims that wait for a lock, each with a
  // connection, leave none for the one that holds it.
  #moduleConfig() {
    const database = () => ({
      clientUrl: urlOf(this.#address),
      driverOptions: { connection: { ssl: false } },
      pool: { min: 0, max: this.#sideBySide },
    });
    const provider = { resolve: '@medusajs/locking-postgres', id: 'locking-postgres', is_default: true };
    return {
      inventory: { resolve: '@medusajs/inventory', options: { database: database() } },
      locking: { resolve: '@medusajs/locking', options: { database: database(), providers: [provider] } },
    };
  }

  async open() {
    const { loadModules, MedusaModule } = require('@medusajs/framework/modules-sdk');
    const { createMedusaContainer, MedusaError } = require('@medusajs/framework/utils');
    const loaded = await loadModules({
      modulesConfig: this.#moduleConfig(),
      sharedContainer: createMedusaContainer(),
      sharedResourcesConfig: { database: { clientUrl: urlOf(this.#address) } },
    });
    this.#inventory = loaded.inventory;
    this.#locking = loaded.locking;
    this.#modules = MedusaModule;
    this.#errors = MedusaError.Types;
  }

  async close() {
    await this.#modules?.onApplicationPrepareShutdown();
    await this.#modules?.onApplicationShutdown();
  }

  async prepare(skus, stock) {
    await runFile(this.#server, 'medusa_anew.sql');
    const { MedusaModule } = require('@medusajs/framework/modules-sdk');
    const { resolve, options } = this.#moduleConfig().inventory;
    await MedusaModule.migrateUp({ moduleKey: 'inventory', modulePath: resolve, options });
    await this.open();
    const ids = Array.from({ length: skus }, (_, number) => `sku-${number}`);
    await this.#inventory.createInventoryItems(ids.map((id) => ({ id, sku: id })));
    await this.#inventory.createInventoryLevels(
      ids.map((id) => ({ inventory_item_id: id, location_id: LOCATION, stocked_quantity: stock })),
    );
  }

  async sell(claim) {
    try {
      const enough = await this.#inventory.confirmInventory(claim.skuId, [LOCATION], claim.quantity);
      if (!enough) return (claim.mayExist && (await this.#earlier(claim))) || Outcome.soldOut;
      return await this.#locking.execute([claim.skuId], () => this.#reserve(claim));
    } catch (error) {
      if (error.type === this.#errors.NOT_FOUND) return Outcome.noSuchSku;
      if (error.message === LOCK_TIMED_OUT) return Outcome.conflict;
      throw error;
    }
  }

  // The outcome of what this buyer has already; undefined if it is nothing.
  async #earlier(claim) {
    const [line] = await this.#inventory.listReservationItems({ line_item_id: lineOf(claim) }, { take: 1 });
    if (!line) return undefined;
    return line.id === claim.reservationId ? Outcome.replayed : Outcome.userLimit;
  }

  async #reserve(claim) {
    const earlier = await this.#earlier(claim);
    if (earlier) return earlier;
    try {
      await this.#inventory.createReservationItems([
        {
          id: claim.reservationId,
          line_item_id: lineOf(claim),
          inventory_item_id: claim.skuId,
          location_id: LOCATION,
          quantity: claim.quantity,
          allow_backorder: false,
        },
      ]);
    } catch (error) {
      // It checks again what is available.
      if (error.type === this.#errors.NOT_ALLOWED) return Outcome.soldOut;
      throw error;
    }
    return Outcome.created;
  }

  async count() {
    return countStored(this.#address, 'medusa_count.sql');
  }
}

// Vendure's orders: one is made for the buyer, gets the item and goes to ArrangingPayment, which allocates the stock.
// All through OrderService, as Vendure's Shop API does, but in one transaction instead of one for each call. By default
// Vendure allocates when the payment is settled, which would let go of the unit during the payment; its
// StockAllocationStrategy is the documented way to do it earlier. Vendure has neither a limit for each buyer nor an
// idempotency key, so both are custom fields of the order that its database keeps unique.
import { createRequire } from 'node:module';
import { Outcome } from './outcome.mjs';
import { countStored, readDsn, runFile } from './postgres.mjs';

const require = createRequire(import.meta.url);

const UNIQUE_VIOLATION = '23505';
const CONFLICTS = new Set(['40001', '40P01']); // serialization failure, deadlock
// Some of Vendure's services read on a connection of their own while a transaction holds one.
const CONNECTIONS_MORE = 8;

// Ends a transaction that came to nothing.
class Undone extends Error {
  constructor(outcome) {
    super(outcome);
    this.outcome = outcome;
  }
}

function buyerOf(claim) {
  return `${claim.skuId}/${claim.userId}`;
}

function configure(vendure, address, connections, mayChangeSchema) {
  const { configureDefaultOrderProcess, DefaultLogger, LogLevel } = vendure;
  const allocatesBeforePayment = {
    shouldAllocateStock: (ctx, fromState, toState) => fromState === 'AddingItems' && toState === 'ArrangingPayment',
  };
  // What the job does not have: a customer's record and something to ship to them.
  const process = configureDefaultOrderProcess({
    arrangingPaymentRequiresCustomer: false,
    arrangingPaymentRequiresShipping: false,
  });
  return {
    apiOptions: { hostname: '127.0.0.1', port: 0 },
    authOptions: { tokenMethod: 'bearer' },
    dbConnectionOptions: {
      type: 'postgres',
      host: address.host,
      port: address.port,
      username: address.user,
      password: address.password,
      database: address.database,
      poolSize: connections,
      synchronize: mayChangeSchema,
      logging: false,
    },
    paymentOptions: { paymentMethodHandlers: [] },
    orderOptions: { process: [process], stockAllocationStrategy: allocatesBeforePayment },
    customFields: {
      Order: [
        { name: 'claim', type: 'string', unique: true },
        { name: 'buyer', type: 'string', unique: true },
      ],
    },
    logger: new DefaultLogger({ level: LogLevel.Warn }),
    plugins: [],
  };
}

export class VendurePeer {
  #server; // where --prepare makes the database
  #address;
  #sideBySide;
  #vendure;
  #worker;
  #connection;
  #contexts;
  #orders;
  #productVariants;
  #variants = new Map(); // by SKU

  constructor(dsn, sideBySide) {
    this.#server = readDsn(dsn);
    this.#address = { ...this.#server, database: 'peer_vendure' };
    this.#sideBySide = sideBySide;
  }

  #load() {
    process.env.VENDURE_DISABLE_TELEMETRY = 'true';
    this.#vendure = require('@vendure/core');
    return this.#vendure;
  }

  async open() {
    const vendure = this.#load();
    const connections = this.#sideBySide + CONNECTIONS_MORE;
    this.#worker = await vendure.bootstrapWorker(configure(vendure, this.#address, connections, false));
    const { app } = this.#worker;
    this.#connection = app.get(vendure.TransactionalConnection);
    this.#contexts = app.get(vendure.RequestContextService);
    this.#orders = app.get(vendure.OrderService);
    this.#productVariants = app.get(vendure.ProductVariantService);
    const variants = this.#connection.rawConnection.getRepository(vendure.ProductVariant);
    for (const variant of await variants.find({ loadEagerRelations: false })) this.#variants.set(variant.sku, variant);
  }

  async close() {
    await this.#worker?.app.close();
  }

  async prepare(skus, stock) {
    await runFile(this.#server, 'vendure_anew.sql');
    const vendure = this.#load();
    const app = await vendure.bootstrap(configure(vendure, this.#address, CONNECTIONS_MORE, true));
    try {
      // A product needs prices, and these a zone with a tax.
      await app.get(vendure.Populator).populateInitialData({
        defaultLanguage: vendure.LanguageCode.en,
        defaultZone: 'Europe',
        countries: [{ name: 'Austria', code: 'AT', zone: 'Europe' }],
        taxRates: [{ name: 'Standard', percentage: 20 }],
        shippingMethods: [],
        paymentMethods: [],
        collections: [],
      });
      const ctx = await this.#superadmin(app);
      for (let number = 0; number < skus; number += 1) await this.#makeProduct(app, ctx, `sku-${number}`, stock);
    } finally {
      await app.close();
    }
  }

  async #superadmin(app) {
    const { ConfigService, RequestContextService, TransactionalConnection, User } = this.#vendure;
    const { identifier } = app.get(ConfigService).authOptions.superadminCredentials;
    const users = app.get(TransactionalConnection).rawConnection.getRepository(User);
    const user = await users.findOneOrFail({ where: { identifier }, relations: { roles: { channels: true } } });
    return app.get(RequestContextService).create({ apiType: 'admin', user });
  }

  async #makeProduct(app, ctx, sku, stock) {
    const { LanguageCode, ProductService, ProductVariantService } = this.#vendure;
    const languageCode = LanguageCode.en;
    const product = await app.get(ProductService).create(ctx, {
      enabled: true,
      translations: [{ languageCode, name: sku, slug: sku, description: '' }],
    });
    await app.get(ProductVariantService).create(ctx, [
      {
        productId: product.id,
        sku,
        price: 49900,
        stockOnHand: stock,
        trackInventory: 'TRUE', // GlobalFlag, which the package does not export
        translations: [{ languageCode, name: sku }],
      },
    ]);
  }

  async sell(claim) {
    const variant = this.#variants.get(claim.skuId);
    if (!variant) return Outcome.noSuchSku;
    const ctx = await this.#contexts.create({ apiType: 'shop' });
    // As a shop shows it before anything is put into a cart.
    if ((await this.#productVariants.getSaleableStockLevel(ctx, variant)) < claim.quantity) {
      return (claim.mayExist && (await this.#earlier(ctx, claim))) || Outcome.soldOut;
    }
    try {
      await this.#connection.withTransaction(ctx, (inside) => this.#order(inside, claim, variant.id));
      return Outcome.created;
    } catch (error) {
      if (error instanceof Undone) return error.outcome;
      const code = error.driverError?.code ?? error.code;
      if (CONFLICTS.has(code)) return Outcome.conflict;
      const earlier = code === UNIQUE_VIOLATION && (await this.#earlier(ctx, claim));
      if (earlier) return earlier;
      throw error;
    }
  }

  // The outcome of what this buyer has already; undefined if it is nothing.
  async #earlier(ctx, claim) {
    const orders = await this.#connection.getRepository(ctx, this.#vendure.Order).find({
      where: [{ customFields: { claim: claim.reservationId } }, { customFields: { buyer: buyerOf(claim) } }],
      loadEagerRelations: false,
    });
    if (orders.length === 0) return undefined;
    const same = orders.some((order) => order.customFields.claim === claim.reservationId);
    return same ? Outcome.replayed : Outcome.userLimit;
  }

  async #order(ctx, claim, variantId) {
    const { isGraphQlErrorResult, Order } = this.#vendure;
    const { id } = await this.#orders.create(ctx);
    const customFields = { claim: claim.reservationId, buyer: buyerOf(claim) };
    await this.#connection.getRepository(ctx, Order).update(id, { customFields });
    const added = await this.#orders.addItemToOrder(ctx, id, variantId, claim.quantity);
    if (isGraphQlErrorResult(added)) {
      if (added.errorCode === 'INSUFFICIENT_STOCK_ERROR') throw new Undone(Outcome.soldOut);
      throw new Error(`addItemToOrder: ${added.errorCode} ${added.message}`);
    }
    const moved = await this.#orders.transitionToState(ctx, id, 'ArrangingPayment');
    if (isGraphQlErrorResult(moved)) {
      if (/insufficient.stock/i.test(moved.transitionError)) throw new Undone(Outcome.soldOut);
      throw new Error(`transitionToState: ${moved.errorCode} ${moved.transitionError}`);
    }
  }

  async count() {
    return countStored(this.#address, 'vendure_count.sql');
  }
}
